import { randomUUID } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { Redis } from "ioredis";
import { v7 as uuidV7 } from "uuid";
import { createRegistry } from "@flotilla/shared/metrics/process-metrics";
import { createLogger } from "@flotilla/shared/process/logger";
import { claimRun, createRun, settleRun, type NewRun, type Settlement } from "@flotilla/shared/runs/run-queries";
import { deleteThread } from "@flotilla/shared/threads/thread-queries";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import { connectTestRedis, testPrefix } from "../../../../test/support/redis.ts";
import { GatewayMetrics } from "../metrics.ts";
import { clearLeftovers } from "./clear-leftovers.ts";
import { prune } from "./prune.ts";
import { retainCheckpoints } from "./retain-checkpoints.ts";
import { retainRuns } from "./retain-runs.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});

const nothing = {} as never;
const metrics = new GatewayMetrics(createRegistry("test", "gateway", nothing), nothing, nothing, nothing);
const logger = createLogger("silent", {});
const DAY_MS = 86_400_000;

/** Accepts a run that was made three days ago, executes it and settles it. */
async function run(threadId: string, outcome: Settlement, more: Partial<NewRun> = {}): Promise<string> {
  const { pool } = database;
  const runId = uuidV7({ msecs: Date.now() - 3 * DAY_MS });
  const created = await createRun(pool, {
    tenantId: "default",
    threadId,
    threadMustExist: false,
    temporary: false,
    assistantMetadata: undefined,
    bindGraph: true,
    runId,
    assistantId: randomUUID(),
    graphId: "g",
    kwargs: { input: {}, stream_mode: ["values"] },
    metadata: {},
    threadMetadata: {},
    strategy: "enqueue",
    delaySeconds: 0,
    resume: undefined,
    idempotency: undefined,
    ...more,
  });
  expect(created.outcome).toBe("created");
  expect((await claimRun(pool, runId, "test:1:x", 60, false)).outcome).toBe("claimed");
  for (let step = 0; step < 4; step++) await writeCheckpoint(threadId, runId);
  expect((await settleRun(pool, runId, 1, outcome)).outcome).toBe("settled");
  return runId;
}

/** A step as a worker stores it: one channel changes, the other stays. */
async function writeCheckpoint(threadId: string, runId: string): Promise<void> {
  await database.pool.query(
    `with before as (
       select checkpoint_id, checkpoint from checkpoints where thread_id = $1 and checkpoint_ns = '' order by seq desc limit 1),
     point as (
       insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, run_id)
       select $1, '', $2, (select checkpoint_id from before),
              jsonb_build_object('v', 4, 'id', $2::text, 'channel_versions', jsonb_build_object('changes', $2::text, 'stays', 1)), '{}', $3),
     blobs as (
       insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob, run_id)
       values ($1, '', 'changes', $2, 'json', '1', $3), ($1, '', 'stays', '1', 'json', '1', $3) on conflict do nothing)
     insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, run_id)
     values ($1, '', $2, 'task', 0, 'changes', 'json', '1', $3)`,
    [threadId, uuidV7(), runId],
  );
}

async function rowsOf(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of ["threads", "runs", "idempotency_keys", "checkpoints", "checkpoint_blobs", "checkpoint_writes"]) {
    const { rows } = await database.pool.query<{ n: number }>(`select count(*)::int as n from ${table}`);
    counts[table] = rows[0]?.n ?? -1;
  }
  return counts;
}

const runsOf = async (threadId: string) =>
  (await database.pool.query<{ run_id: string }>("select run_id from runs where thread_id = $1 order by seq", [threadId])).rows.map((row) => row.run_id); // prettier-ignore
const age = (days: number, where = "true") =>
  database.pool.query(`update runs set ended_at = ended_at - make_interval(days => ${days}) where ended_at is not null and ${where}`); // prettier-ignore
const sweepRuns = (days: number, deadLetterDays = days) =>
  retainRuns({ pool: database.pool, metrics, everyMs: 1, retention: { days, deadLetterDays } }).perform();
const success: Settlement = { outcome: "success", values: {} };

test("of ended runs the old ones go, but for the newest of a thread; dead letters stay for longer", async () => {
  const threadId = randomUUID();
  const poison: Settlement = { outcome: "error", error: { error: "PoisonRun", message: "m" }, values: {} };
  const first = await run(threadId, success);
  const dead = await run(threadId, poison);
  const third = await run(threadId, success);
  const alone = randomUUID();
  const only = await run(alone, success);

  await sweepRuns(2);
  expect(await runsOf(threadId)).toEqual([first, dead, third]); // they ended just now
  await age(2);
  await sweepRuns(2, 30);
  expect(await runsOf(threadId)).toEqual([dead, third]);
  expect(await runsOf(alone)).toEqual([only]);
  await age(40);
  await sweepRuns(2, 30);
  expect(await runsOf(threadId)).toEqual([third]);
  expect(await runsOf(alone)).toEqual([only]);
});

test("a run in flight stays, and so does a row that somebody holds, which nobody waits for", async () => {
  const { pool } = database;
  const threadId = randomUUID();
  const [first, second] = [await run(threadId, success), await run(threadId, success)];
  await age(9);
  await pool.query("update runs set status = 'pending', ended_at = null, attempt = 0 where run_id = $1", [second]);
  const holder = await pool.connect();
  await holder.query("begin");
  await holder.query("select 1 from runs where run_id = $1 for update", [first]);
  await sweepRuns(1);
  expect(await runsOf(threadId)).toEqual([first, second]);
  await holder.query("rollback");
  holder.release();
  await sweepRuns(1);
  expect(await runsOf(threadId)).toEqual([second]);
  await pool.query("delete from runs where run_id = $1", [second]);
});

test("with a constant working set the tables come back to the same size, round by round", async () => {
  const { pool } = database;
  await pool.query(
    "truncate threads, runs, idempotency_keys, checkpoints, checkpoint_blobs, checkpoint_writes cascade",
  );
  const threads = Array.from({ length: 5 }, () => randomUUID());
  const redis = connectTestRedis();
  const duties = [
    retainRuns({ pool, metrics, everyMs: 1, retention: { days: 2, deadLetterDays: 2 } }),
    retainCheckpoints({ pool, metrics, logger, everyMs: 1, retention: { idleDays: undefined, checkpoints: 6 } }),
    clearLeftovers({ pool, redis, prefix: testPrefix(), metrics, everyMs: 1 }),
    prune(pool),
  ];
  const sizes: Record<string, number>[] = [];
  for (let round = 0; round < 12; round++) {
    for (const threadId of threads)
      await run(threadId, success, { idempotency: { key: randomUUID(), requestHash: "h" } });
    const temporary = randomUUID();
    await run(temporary, success, { temporary: true });
    expect((await deleteThread(pool, "default", temporary)).outcome).toBe("deleted");
    await age(3);
    await pool.query("update idempotency_keys set created_at = created_at - interval '3 days'");
    for (const duty of duties) await duty.perform();
    sizes.push(await rowsOf());
  }
  redis.disconnect();
  const settled = {
    threads: 5,
    runs: 5,
    idempotency_keys: 0,
    checkpoints: 30,
    checkpoint_blobs: 35, // the channel that changes, of each checkpoint; the one that stays, of each thread
    checkpoint_writes: 30,
  };
  expect(sizes.slice(1)).toEqual(Array.from({ length: 11 }, () => settled));
});

test("a thread that has not changed for long is reduced to its newest state", async () => {
  const threadId = randomUUID();
  await run(threadId, success);
  const sweep = () =>
    retainCheckpoints({
      pool: database.pool,
      metrics,
      logger,
      everyMs: 1,
      retention: { idleDays: 7, checkpoints: undefined },
    }).perform();
  const count = async () =>
    (await database.pool.query("select 1 from checkpoints where thread_id = $1", [threadId])).rows.length;
  await sweep();
  expect(await count()).toBe(4);
  await database.pool.query("update threads set updated_at = now() - interval '8 days' where thread_id = $1", [
    threadId,
  ]);
  await sweep();
  expect(await count()).toBe(1);
});

test("images of a run that has ended go, those of a run in flight stay; a stream without a time to live gets one", async () => {
  const { pool } = database;
  const [live, ended] = [randomUUID(), randomUUID()];
  const threadId = randomUUID();
  const endedRun = await run(threadId, success);
  await pool.query(
    `insert into runs (run_id, tenant_id, thread_id, assistant_id, graph_id, kwargs, available_at)
     values ($1, 'default', $2, $1, 'g', '{}', now())`,
    [live, threadId],
  );
  for (const runId of [live, ended, endedRun]) {
    await pool.query(
      `insert into overwritten_writes (overwritten_by, thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, blob, task_path)
       values ($1, $2, '', 'c', 't', 0, 'x', '1', '')`,
      [runId, threadId],
    );
    await pool.query(
      `insert into overwritten_checkpoints (overwritten_by, thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata, seq)
       values ($1, $2, '', 'c', '{}', '{}', 1)`,
      [runId, threadId],
    );
  }
  const prefix = testPrefix();
  const redis: Redis = connectTestRedis();
  const [lost, kept] = [`${prefix}:events:${randomUUID()}`, `${prefix}:events:${randomUUID()}`];
  await redis.xadd(lost, "*", "values", "{}");
  await redis.xadd(kept, "*", "values", "{}");
  await redis.expire(kept, 60);

  await clearLeftovers({ pool, redis, prefix, metrics, everyMs: 1 }).perform();
  for (const table of ["overwritten_writes", "overwritten_checkpoints"]) {
    const { rows } = await pool.query(`select overwritten_by as id from ${table}`);
    expect(rows).toEqual([{ id: live }]);
  }
  expect(await redis.ttl(lost)).toBeGreaterThan(3_000);
  expect(await redis.ttl(kept)).toBeLessThanOrEqual(60);
  redis.disconnect();
});
