import { beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import { prune } from "./prune.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});

test("Idempotency-Keys are removed once they have had their 24 hours, however many there are, and not before", async () => {
  const { pool } = database;
  await pool.query(
    `insert into idempotency_keys (tenant_id, key, request_hash, run_id, thread_id, created_at)
     select 'default', 'old ' || n, 'hash', gen_random_uuid(), 't', now() - interval '24 hours 1 minute' from generate_series(1, 2500) n
     union all select 'default', 'young', 'hash', gen_random_uuid(), 't', now() - interval '23 hours 59 minutes'
     union all select 'acme', 'new', 'hash', gen_random_uuid(), 't', now()`,
  );
  await prune(pool).perform();
  const { rows } = await pool.query<{ key: string }>("select key from idempotency_keys order by key");
  expect(rows.map(({ key }) => key)).toEqual(["new", "young"]);
});
