import { Client } from "pg";
import { shellWord } from "./commands.ts";
import { withAddress, withoutAddress, type GivenAddress } from "./settings.ts";
import { OLDEST_POSTGRES } from "../stack/postgres-binaries.ts";
import { reasonOf, StartupError } from "../stack/startup-error.ts";

const TIMEOUT_MS = 5_000;
/**
 * Looks whether a Postgres that somebody else runs can be used, before anything is started that needs it.
 *
 * @param start the command that is under way, to be said again in what mends it
 * @returns its version
 * @throws StartupError
 */
export async function checkGivenPostgres(given: GivenAddress, start: string): Promise<string> {
  const client = clientOf(given, start);
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ server_version: string }>("show server_version");
    const version = rows[0]?.server_version ?? "";
    if (Number.parseInt(version, 10) < OLDEST_POSTGRES) throw new TooOld(`it is Postgres ${version}`);
    return version;
  } catch (error) {
    const { why, remedy } = explain(error, client, given, start);
    const reason = `${given.variable}: ${why} (${reasonOf(error)})`;
    throw new StartupError("postgres", reason, { remedy, cause: error });
  } finally {
    await client.end().catch(() => {});
  }
}

class TooOld extends Error {}

const WRONG_LOGIN = ["28P01", "28000"];
const NO_DATABASE = "3D000";
const STARTING = "57P03";

function explain(
  error: unknown,
  { host, port, user = "user", database = "database" }: Client,
  given: GivenAddress,
  start: string,
): { why: string; remedy: string } {
  const { code = "" } = error as { code?: string };
  const server = `${host}:${port}`;
  const ownInstead = `${withoutAddress(given, start)}   (starts a Postgres of its own)`;
  if (error instanceof TooOld) {
    return {
      why: `the Postgres at ${server} is too old, ${OLDEST_POSTGRES} is the oldest that does`,
      remedy: ownInstead,
    };
  }
  if (WRONG_LOGIN.includes(code)) {
    const correct = `postgres://${user}:password@${server}/${database}`;
    return { why: `the Postgres at ${server} refuses user ${user}`, remedy: withAddress(given, correct, start) };
  }
  if (code === NO_DATABASE) {
    const create = `createdb --host ${host} --port ${port} --username ${shellWord(user)} ${shellWord(database)}`;
    return { why: `the Postgres at ${server} has no database ${database}`, remedy: create };
  }
  if (code === STARTING)
    return { why: `the Postgres at ${server} is not ready yet`, remedy: `${start}   (in a moment)` };
  return {
    why: `no Postgres can be reached at ${server}`,
    remedy: `pg_isready --host ${host} --port ${port}   (start that Postgres, or correct the address)\nor ${ownInstead}`,
  };
}

function clientOf(given: GivenAddress, start: string): Client {
  try {
    new URL(given.address);
    return new Client({ connectionString: given.address, connectionTimeoutMillis: TIMEOUT_MS });
  } catch (cause) {
    throw new StartupError("postgres", `${given.variable} is not the address of a Postgres`, {
      remedy: withAddress(given, "postgres://user:password@host:5432/database", start),
      cause,
    });
  }
}
