import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import pg from "pg";
import { SchemaTooOld } from "../errors.ts";
import { errorCode } from "./pg-error.ts";
import type { Queryable } from "./pool.ts";

const FOLDER = new URL("../../migrations/", import.meta.url);
/** Any constant will do; it is ours alone within a database. */
const ADVISORY_LOCK = 7_201_894_406_117;

/** One numbered SQL file. Files are never edited after a release. */
export interface Migration {
  number: number;
  name: string;
  sql: string;
}

/** All migrations this build knows, in order. */
export async function listMigrations(): Promise<Migration[]> {
  const files = (await readdir(FOLDER)).filter((file) => /^\d{4}_\w+\.sql$/.test(file)).sort();
  return Promise.all(
    files.map(async (file) => ({
      number: Number(file.slice(0, 4)),
      name: file,
      sql: await readFile(new URL(file, FOLDER), "utf8"),
    })),
  );
}

/**
 * Brings the database up to this build's schema: LangGraph's own checkpoint tables first, then our migrations, each in its
 * own transaction, all under one advisory lock, so that any number of processes may call this at once.
 * @returns the names of the migrations that were applied now.
 */
export async function migrate(databaseUrl: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: "flotilla migrate" });
  client.on("error", () => {}); // the query in flight rejects; an unhandled event would end the process first
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [ADVISORY_LOCK]);
    await client.query(`create table if not exists schema_migrations (
      number int primary key, name text not null, applied_at timestamptz not null default now())`);
    const { rows } = await client.query<{ number: number; name: string }>("select number, name from schema_migrations");
    await setUpCheckpointTables(client, databaseUrl, rows.find((row) => row.number === 0)?.name);
    const applied = new Set(rows.map((row) => row.number));
    const pending = (await listMigrations()).filter((migration) => !applied.has(migration.number));
    for (const migration of pending) await applyMigration(client, migration);
    return pending.map((migration) => migration.name);
  } finally {
    await client.end();
  }
}

async function applyMigration(client: pg.Client, migration: Migration): Promise<void> {
  await client.query("begin");
  try {
    await client.query(migration.sql);
    await client.query("insert into schema_migrations (number, name) values ($1, $2)", [
      migration.number,
      migration.name,
    ]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback").catch(() => {});
    throw new Error(`Migration ${migration.name} failed: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/**
 * LangGraph's own set-up, once per version of its package (kept as number 0). It must never run twice at once: seven of
 * eight concurrent calls fail on an empty database. The package is loaded only when it has something to do.
 */
async function setUpCheckpointTables(client: pg.Client, databaseUrl: string, done: string | undefined): Promise<void> {
  const { name, version } = createRequire(import.meta.url)("@langchain/langgraph-checkpoint-postgres/package.json") as {
    name: string;
    version: string;
  };
  if (done === `${name}@${version}`) return;
  const { PostgresSaver } = await import("@langchain/langgraph-checkpoint-postgres");
  const saver = PostgresSaver.fromConnString(databaseUrl);
  try {
    await saver.setup();
  } finally {
    await saver.end();
  }
  await client.query(
    "insert into schema_migrations (number, name) values (0, $1) on conflict (number) do update set name = excluded.name, applied_at = now()",
    [`${name}@${version}`],
  );
}

/**
 * Refuses to go on when the schema is older than this build needs.
 * @throws SchemaTooOld saying which migration is missing and the command that applies it.
 */
export async function requireSchema(db: Queryable): Promise<void> {
  const newest = (await listMigrations()).at(-1)?.number ?? 0;
  const found = await schemaNumber(db);
  if (found < newest) {
    throw new SchemaTooOld(`The database schema is at ${found}, this build needs ${newest}. Run: npm run migrate`);
  }
}

/** The number of the newest applied migration; 0 on an empty database. */
export async function schemaNumber(db: Queryable): Promise<number> {
  try {
    const { rows } = await db.query<{ number: number | null }>("select max(number) as number from schema_migrations");
    return rows[0]?.number ?? 0;
  } catch (error) {
    if (errorCode(error) === "42P01") return 0; // the table does not exist
    throw error;
  }
}
