import { randomUUID } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import { holdRun, startHeldRun } from "../../../../test/failure/support/runs.ts";
import {
  deleteOldOnceRecords,
  findOnceRecord,
  forgetOnceRecords,
  storeOnceRecord,
  type OnceAddress,
  type OnceHolder,
} from "./once-queries.ts";
import type { ClaimedRun } from "./run.ts";
import { cancelRun, settleRun } from "./run-queries.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});

const holderOf = (run: ClaimedRun): OnceHolder => ({
  tenantId: run.tenant_id,
  runId: run.run_id,
  attempt: run.attempt,
});
const address = (key = "charge"): OnceAddress => ({ taskId: randomUUID(), key, idempotencyKeys: [randomUUID()] });

async function count(run: ClaimedRun): Promise<number> {
  const { rows } = await database.pool.query("select 1 from once_records where thread_id = $1", [run.thread_id]);
  return rows.length;
}

/** Ends the lease of a run and lets the next attempt have it. */
async function takeOver(run: ClaimedRun): Promise<ClaimedRun> {
  const { pool } = database;
  await pool.query("update runs set lease_expires_at = clock_timestamp() - interval '1 s' where run_id = $1", [
    run.run_id,
  ]);
  await settleRun(pool, run.run_id, run.attempt, { outcome: "lost" });
  return (await holdRun(pool, run.run_id)).run;
}

test("what is stored is found again, and what is stored first stays", async () => {
  const { pool } = database;
  const run = await startHeldRun(pool);
  const [charge, other] = [address(), address()];
  expect(await findOnceRecord(pool, holderOf(run), charge)).toEqual({ state: "absent" });
  const first = { state: "stored", result: '{"id":"\\u0000 1"}' };
  expect(await storeOnceRecord(pool, holderOf(run), charge, first.result)).toEqual(first);
  expect(await storeOnceRecord(pool, holderOf(run), charge, '"another"')).toEqual(first);
  expect(await findOnceRecord(pool, holderOf(run), charge)).toEqual(first);
  expect(await findOnceRecord(pool, holderOf(run), other)).toEqual({ state: "absent" });
});

test("an attempt that has lost its run neither begins nor stores, and its successor finds what it stored before", async () => {
  const { pool } = database;
  const run = await startHeldRun(pool);
  const [before, after] = [address(), address()];
  await storeOnceRecord(pool, holderOf(run), before, '"before"');
  const successor = await takeOver(run);
  expect(await findOnceRecord(pool, holderOf(run), after)).toEqual({ state: "lost" });
  expect(await storeOnceRecord(pool, holderOf(run), after, '"zombie"')).toEqual({ state: "lost" });
  expect(await findOnceRecord(pool, holderOf(successor), after)).toEqual({ state: "absent" });
  expect(await findOnceRecord(pool, holderOf(successor), before)).toEqual({ state: "stored", result: '"before"' });
});

test("whoever ends an attempt waits for a record in flight, and a record waits for him", async () => {
  const { pool } = database;
  const run = await startHeldRun(pool);
  const client = await pool.connect();
  try {
    await client.query("begin");
    expect(await storeOnceRecord(client, holderOf(run), address(), '"in flight"')).toMatchObject({ state: "stored" });
    await expect(
      pool.query("select 1 from runs where run_id = $1 for update nowait", [run.run_id]),
    ).rejects.toMatchObject({ code: "55P03" });
    // A renewal of the lease does not wait.
    await pool.query("update runs set lease_expires_at = clock_timestamp() + interval '1 min' where run_id = $1", [
      run.run_id,
    ]);
    await client.query("rollback");
    await client.query("begin");
    await client.query("select 1 from runs where run_id = $1 for update", [run.run_id]);
    const late = storeOnceRecord(pool, holderOf(run), address(), '"late"');
    await client.query("update runs set attempt = attempt + 1 where run_id = $1", [run.run_id]);
    await client.query("commit");
    expect(await late).toEqual({ state: "lost" });
  } finally {
    client.release();
  }
});

test("another tenant finds and stores nothing, whatever ids it knows", async () => {
  const { pool } = database;
  const run = await startHeldRun(pool, { tenantId: "acme" });
  const known = address();
  await storeOnceRecord(pool, holderOf(run), known, '"secret"');
  const stranger = { ...holderOf(run), tenantId: "other" };
  expect(await findOnceRecord(pool, stranger, known)).toEqual({ state: "lost" });
  expect(await storeOnceRecord(pool, stranger, address(), '"foreign"')).toEqual({ state: "lost" });
  const own = await startHeldRun(pool, { tenantId: "other" });
  expect(await findOnceRecord(pool, holderOf(own), known)).toEqual({ state: "absent" });
});

test("records go with a run that is rolled back, and with their thread", async () => {
  const { pool } = database;
  const rolledBack = await startHeldRun(pool);
  await storeOnceRecord(pool, holderOf(rolledBack), address(), "1");
  await cancelRun(pool, {
    tenantId: "default",
    threadId: rolledBack.thread_id,
    runId: rolledBack.run_id,
    action: "rollback",
  });
  await settleRun(pool, rolledBack.run_id, rolledBack.attempt, { outcome: "interrupted" });
  expect(await count(rolledBack)).toBe(0);

  const ended = await startHeldRun(pool);
  await storeOnceRecord(pool, holderOf(ended), address(), "1");
  await settleRun(pool, ended.run_id, ended.attempt, { outcome: "error", error: { error: "E", message: "m" } });
  expect(await count(ended)).toBe(1);
  await pool.query("select delete_thread('default', $1)", [ended.thread_id]);
  expect(await count(ended)).toBe(0);
});

test("a run that brings its thread to its end takes earlier records along, not those of the next run", async () => {
  const { pool } = database;
  const first = await startHeldRun(pool);
  await storeOnceRecord(pool, holderOf(first), address("before the question"), "1");
  await settleRun(pool, first.run_id, first.attempt, { outcome: "success", hasNext: true });
  const { thread_id: threadId } = first;
  const second = await startHeldRun(pool, { threadId });
  await storeOnceRecord(pool, holderOf(second), address("after the answer"), "1");
  await forgetOnceRecords(pool, "default", second.run_id); // it has not ended
  expect(await count(first)).toBe(2);
  await settleRun(pool, second.run_id, second.attempt, { outcome: "success", hasNext: false });
  const third = await startHeldRun(pool, { threadId });
  await storeOnceRecord(pool, holderOf(third), address("of the next"), "1");
  await forgetOnceRecords(pool, "acme", second.run_id); // not its tenant
  expect(await count(first)).toBe(3);
  await forgetOnceRecords(pool, "default", second.run_id);
  const { rows } = await pool.query("select key from once_records where thread_id = $1", [threadId]);
  expect(rows).toEqual([{ key: "of the next" }]);
});

test("old records go in batches, but not those of a run in flight", async () => {
  const { pool } = await createTestDatabase();
  const [ended, running] = [await startHeldRun(pool), await startHeldRun(pool)];
  for (const run of [ended, running])
    for (let i = 0; i < 5; i++) await storeOnceRecord(pool, holderOf(run), address(), "1");
  await settleRun(pool, ended.run_id, ended.attempt, { outcome: "success", hasNext: true });
  expect(await deleteOldOnceRecords(pool, 30, 3)).toBe(0);
  await pool.query("update once_records set created_at = now() - interval '31 days'");
  expect(await deleteOldOnceRecords(pool, 30, 3)).toBe(3);
  expect(await deleteOldOnceRecords(pool, 30, 3)).toBe(2);
  const { rows } = await pool.query("select distinct run_id from once_records");
  expect(rows).toEqual([{ run_id: running.run_id }]);
});
