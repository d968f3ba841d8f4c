import { randomUUID } from "node:crypto";
import { Command } from "commander";
import pg from "pg";
import { generateKey } from "@flotilla/shared/access/api-key";
import { insertApiKey, listApiKeys, revokeApiKey } from "@flotilla/shared/access/api-key-queries";
import { tenantId } from "@flotilla/shared/protocol/ids";
import { npmRun, npmStart, type Choice } from "../dev/commands.ts";
import { configOption, stateOption } from "../dev/dev-command.ts";
import { USAGE_ERROR } from "../dev/exit-codes.ts";
import { databaseOf } from "../dev/running-start.ts";
import { withoutPassword } from "../dev/settings.ts";
import { reasonOf, StartupError } from "../stack/startup-error.ts";
import { style } from "../terminal.ts";

/** `flotilla keys`: API keys, for a gateway that is not for one person alone. Only their hashes are stored. */
export function keysCommand(): Command {
  const keys = new Command("keys")
    .description("make, list and revoke API keys (in DATABASE_URL, else the database that npm start has started)")
    .addOption(configOption())
    .addOption(stateOption());
  keys
    .command("create")
    .description("make a key and print it, once; from the first key on, every request needs one")
    .option("-t, --tenant <tenant>", "whose rows the key's requests see", "default")
    .option("-n, --name <name>", "what the key is for", "unnamed")
    .action((options: { tenant: string; name: string }) => withDatabase(keys, (db) => create(db, options)));
  keys
    .command("list")
    .description("the keys, without their secrets")
    .action(() => withDatabase(keys, list));
  keys
    .command("revoke")
    .description("make a key useless, within seconds")
    .argument("<id>", "as `keys list` shows it")
    .action((id: string) => withDatabase(keys, (db) => revoke(db, id, keys.opts<Choice>())));
  return keys;
}

async function create(db: pg.Pool, { tenant, name }: { tenant: string; name: string }): Promise<void> {
  const parsed = tenantId.safeParse(tenant);
  if (!parsed.success)
    throw new StartupError("keys", parsed.error.issues[0]?.message ?? "not a tenant", { exitCode: USAGE_ERROR });
  const { key, prefix, hash } = generateKey();
  const keyId = randomUUID();
  await insertApiKey(db, { keyId, tenantId: tenant, name: name.slice(0, 200), prefix, hash });
  console.log(key);
  console.error(
    style("dim", `key ${keyId} of tenant ${tenant}; it is not shown again. Use it: -H "x-api-key: ${prefix}…"`),
  );
}

async function list(db: pg.Pool): Promise<void> {
  const keys = await listApiKeys(db);
  if (keys.length === 0) console.log("There are no keys: the gateway answers this machine only.");
  for (const key of keys) {
    const state = key.revoked_at === null ? "valid" : `revoked ${key.revoked_at.toISOString()}`;
    console.log(
      [key.key_id, key.tenant_id, `${key.prefix}…`, key.name, key.created_at.toISOString(), state].join("  "),
    );
  }
}

async function revoke(db: pg.Pool, id: string, choice: Choice): Promise<void> {
  const known = /^[0-9a-f-]{36}$/i.test(id) && (await revokeApiKey(db, id));
  if (!known) {
    throw new StartupError("keys", `there is no valid key ${id}`, { remedy: npmRun("keys", choice, "list") });
  }
  console.log(`Key ${id} is revoked.`);
}

async function withDatabase(keys: Command, work: (db: pg.Pool) => Promise<void>): Promise<void> {
  const choice = keys.opts<Choice>();
  const url = databaseOf(choice, npmRun("keys", choice, ...keys.args));
  const db = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 5_000 });
  db.on("error", () => {});
  try {
    await work(db);
  } catch (error) {
    if (error instanceof StartupError) throw error;
    const why = `${withoutPassword(url)} does not do: ${reasonOf(error)}`;
    throw new StartupError("database", why, { remedy: `${npmStart(choice)}   (brings the database up)`, cause: error });
  } finally {
    await db.end();
  }
}
