import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { Command } from "commander";
import pg from "pg";
import { generateKey } from "@flotilla/shared/access/api-key";
import { insertApiKey, listApiKeys, revokeApiKey } from "@flotilla/shared/access/api-key-queries";
import { tenantId } from "@flotilla/shared/protocol/ids";
import { USAGE_ERROR } from "../dev/exit-codes.ts";
import { givenAddress } from "../dev/settings.ts";
import { knownLocalPostgres } from "../stack/local-postgres.ts";
import { reasonOf, StartupError } from "../stack/startup-error.ts";
import { style } from "../terminal.ts";

/** `flotilla keys`: API keys, for a gateway that is not for one person alone. Only their hashes are stored. */
export function keysCommand(): Command {
  const keys = new Command("keys").description(
    "make, list and revoke API keys (in DATABASE_URL, else the database of npm start)",
  );
  keys
    .command("create")
    .description("make a key and print it, once; from the first key on, every request needs one")
    .option("-t, --tenant <tenant>", "whose rows the key's requests see", "default")
    .option("-n, --name <name>", "what the key is for", "unnamed")
    .action((options: { tenant: string; name: string }) => withDatabase((db) => create(db, options)));
  keys
    .command("list")
    .description("the keys, without their secrets")
    .action(() => withDatabase(list));
  keys
    .command("revoke")
    .description("make a key useless, within seconds")
    .argument("<id>", "as `keys list` shows it")
    .action((id: string) => withDatabase((db) => revoke(db, id)));
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

async function revoke(db: pg.Pool, id: string): Promise<void> {
  const known = /^[0-9a-f-]{36}$/i.test(id) && (await revokeApiKey(db, id));
  if (!known) throw new StartupError("keys", `there is no valid key ${id}`, { remedy: "npm run keys -- list" });
  console.log(`Key ${id} is revoked.`);
}

async function withDatabase(work: (db: pg.Pool) => Promise<void>): Promise<void> {
  const url = givenAddress("postgres", process.env) ?? knownLocalPostgres(join(process.cwd(), ".flotilla"));
  const remedy = "npm start, in this folder; or DATABASE_URL=postgres://… npm run keys -- …";
  if (url === undefined) throw new StartupError("keys", "no database is known", { remedy });
  const db = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 5_000 });
  db.on("error", () => {});
  try {
    await work(db);
  } catch (error) {
    if (error instanceof StartupError) throw error;
    throw new StartupError("keys", `the database does not answer: ${reasonOf(error)}`, { remedy, cause: error });
  } finally {
    await db.end();
  }
}
