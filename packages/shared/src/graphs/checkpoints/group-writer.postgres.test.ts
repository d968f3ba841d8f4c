import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../../../../test/support/database.ts";
import { holdNewRun } from "../../../../../test/failure/support/held-saver.ts";
import { LeaseLost } from "../../errors.ts";
import { createPool, type Pool } from "../../postgres/pool.ts";
import { GroupWriter } from "./group-writer.ts";

const config = (threadId: string, checkpointId = "c1") => ({
  configurable: { thread_id: threadId, checkpoint_ns: "", checkpoint_id: checkpointId },
});

/** A writer that notes how many runs each of its statements stored. */
function countingWriter(pool: Pool): { writer: GroupWriter; groups: number[] } {
  const groups: number[] = [];
  const writer = new GroupWriter({ pool, lanes: 1, onWritten: (_seconds, runs) => groups.push(runs) });
  return { writer, groups };
}

test("writes of ten runs in the same turn are one statement", async () => {
  const { pool } = await createTestDatabase();
  const { writer, groups } = countingWriter(pool);
  const held = await Promise.all(Array.from({ length: 10 }, () => holdNewRun(pool, { writer })));
  await Promise.all(held.map(({ run, saver }) => saver.putWrites(config(run.thread_id), [["a", 1]], "task")));
  expect(groups).toEqual([10]);
});

test("a zombie's write is refused while the other run of its group lands", async () => {
  const { pool } = await createTestDatabase();
  const { writer, groups } = countingWriter(pool);
  const zombie = await holdNewRun(pool, { writer });
  const other = await holdNewRun(pool, { writer });
  await pool.query("update runs set attempt = 2 where run_id = $1", [zombie.run.run_id]);

  const [refused, landed] = await Promise.allSettled([
    zombie.saver.putWrites(config(zombie.run.thread_id), [["a", 1]], "task"),
    other.saver.putWrites(config(other.run.thread_id), [["a", 1]], "task"),
  ]);

  expect(groups).toEqual([1, 0]); // the statement that stored the other's; the zombie's own, which says that the lease is lost
  expect(refused).toMatchObject({ status: "rejected", reason: expect.any(LeaseLost) as unknown });
  expect(landed).toMatchObject({ status: "fulfilled" });
  const { rows } = await pool.query("select thread_id from checkpoint_writes");
  expect(rows).toEqual([{ thread_id: other.run.thread_id }]);
});

test("a run whose row is locked holds up no other, and is stored when the lock is gone", async () => {
  const { pool } = await createTestDatabase();
  const writer = new GroupWriter({ pool, lanes: 1 });
  const locked = await holdNewRun(pool, { writer });
  const other = await holdNewRun(pool, { writer });
  const client = await pool.connect();
  await client.query("begin");
  await client.query("select 1 from runs where run_id = $1 for update", [locked.run.run_id]);
  const order: string[] = [];
  const write = (held: typeof locked, name: string, value: number) =>
    held.saver.putWrites(config(held.run.thread_id), [["a", value]], "task").then(() => order.push(name));

  const first = write(locked, "locked 1", 1);
  await write(other, "other 1", 1);
  const second = write(locked, "locked 2", 2);
  await write(other, "other 2", 2);
  await client.query("commit");
  client.release();
  await Promise.all([first, second]);

  expect(order).toEqual(["other 1", "other 2", "locked 1", "locked 2"]);
});

test("a row that Postgres refuses harms its own run only", async () => {
  const { pool } = await createTestDatabase();
  const { writer } = countingWriter(pool);
  const bad = await holdNewRun(pool, { writer });
  const good = await Promise.all([holdNewRun(pool, { writer }), holdNewRun(pool, { writer })]);

  const results = await Promise.allSettled([
    bad.saver.putWrites(config(bad.run.thread_id), [["NUL is no text: \0", 1]], "task"),
    ...good.map(({ run, saver }) => saver.putWrites(config(run.thread_id), [["a", 1]], "task")),
  ]);

  expect(results.map((result) => result.status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
  const { rows } = await pool.query<{ thread_id: string }>("select thread_id from checkpoint_writes");
  expect(rows.map((row) => row.thread_id).sort()).toEqual(good.map(({ run }) => run.thread_id).sort());
});

test("a run's writes are stored in the order in which they were made", async () => {
  const { pool } = await createTestDatabase();
  const writer = new GroupWriter({ pool, lanes: 4, maxGroupBytes: 100 });
  const { run, saver } = await holdNewRun(pool, { writer });
  const noise = await Promise.all(Array.from({ length: 5 }, () => holdNewRun(pool, { writer })));

  const writes = Array.from({ length: 60 }, (_, i) => saver.putWrites(config(run.thread_id), [["last", i]], "task"));
  const others = noise.flatMap((one) =>
    Array.from({ length: 20 }, () => one.saver.putWrites(config(one.run.thread_id), [["x", "y".repeat(80)]], "t")),
  );
  await Promise.all([...writes, ...others]);

  const { rows } = await pool.query(
    "select convert_from(blob, 'UTF8') as value from checkpoint_writes where thread_id = $1",
    [run.thread_id],
  );
  expect(rows).toEqual([{ value: "59" }]);
});

test("backends that are terminated during writes neither end the process nor lose a write", async () => {
  const database = await createTestDatabase();
  const application = `writer-${randomUUID().slice(0, 8)}`;
  const logger = pino({ level: "silent" });
  const pool = createPool({ databaseUrl: database.url, minSize: 0, maxSize: 4, applicationName: application, logger });
  const writer = new GroupWriter({ pool });
  const held = await Promise.all(Array.from({ length: 4 }, () => holdNewRun(database.pool, { writer })));

  let terminated = 0;
  const terminate = async () => {
    const { rowCount } = await database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
      [application],
    );
    terminated += rowCount ?? 0;
  };
  for (let i = 0; i < 40; i++) {
    const writes = held.map(({ run, saver }) => saver.putWrites(config(run.thread_id, `c${i}`), [["a", i]], "task"));
    await Promise.all([...writes, delay(Math.random() * 5).then(terminate)]); // before, during or after the statement
  }
  await pool.end();

  expect(terminated).toBeGreaterThan(5);
  const { rows } = await database.pool.query("select count(*)::int as n from checkpoint_writes");
  expect(rows).toEqual([{ n: 160 }]);
});
