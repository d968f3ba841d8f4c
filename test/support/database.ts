import { randomBytes } from "node:crypto";
import { Pool } from "pg";
import { afterAll, inject } from "vitest";
import { runSql, withDatabase } from "./sql.ts";

export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** for code under test that connects by itself */
  readonly url: string;
  /** for the test's own statements and for code under test that takes a pool */
  readonly pool: Pool;
  /** Drops it before the end of the file; twice is fine. Fails when a client of the pool was never released. */
  drop(): Promise<void>;
}

const databases: TestDatabase[] = [];

// Runs after the hooks of the file that imports this one, so that its own pools are closed by then.
afterAll(async () => {
  await Promise.all(databases.map((database) => database.drop()));
});

/** A migrated, empty database for this test alone; it is dropped when the test file is through, or by `drop`. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = inject("postgresUrl");
  const name = `test_${randomBytes(6).toString("hex")}`;
  await runSql(server, `create database ${name} template ${inject("templateDatabase")}`);
  const url = withDatabase(server, name);
  const pool = new Pool({ connectionString: url });
  pool.on("error", () => {}); // a dropped connection of an idle client is part of some tests

  let dropping: Promise<void> | undefined;
  const drop = (): Promise<void> => (dropping ??= closeAndDrop(pool, server, name));
  const database = { name, url, pool, drop, [Symbol.asyncDispose]: drop };
  databases.push(database);
  return database;
}

async function closeAndDrop(pool: Pool, server: string, name: string): Promise<void> {
  const unreleased = pool.totalCount - pool.idleCount;
  const closed = pool.end(); // waits for clients that are not released: do not wait for it
  await runSql(server, `drop database ${name} with (force)`);
  if (unreleased > 0) throw new Error(`${unreleased} client(s) of the test's pool were not released`);
  await closed;
}
