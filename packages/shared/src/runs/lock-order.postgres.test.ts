import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { Pool } from "pg";
import { beforeAll, expect, test } from "vitest";
import { createTestDatabase } from "../../../../test/support/database.ts";
import { openSaver } from "../../../../test/failure/support/held-saver.ts";
import { randomInt, seededRandom, testSeed } from "../../../../test/failure/support/random.ts";
import { newRun, type Claimed } from "../../../../test/failure/support/runs.ts";
import { LeaseLost } from "../errors.ts";
import { GroupWriter } from "../graphs/checkpoints/group-writer.ts";
import { EditSaver } from "../graphs/checkpoints/thread-saver.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { listExpired, redispatchRun, releaseHeldRuns, setAdmission } from "./fleet-queries.ts";
import { cancelRun, claimRun, createRun, failStart, RENEW_LEASES, settleRun, type Settlement } from "./run-queries.ts";

// Everything that takes locks on a thread and its runs, at once, on three threads. Locks are taken in one order (the
// thread's row, then run rows by id): no deadlock may reach a caller, and what is left must be consistent.

const THREADS = ["t1", "t2", "t3"];
/** The storm lasts for so long, and until everything has happened often enough, on a slow machine too. In ms. */
const STORM_MS = 6_000;
const LONGEST_STORM_MS = 40_000;
const OFTEN = ["claimed", "settled", "cancelled", "edited", "written", "lost"];
const isOften = (counts: Record<string, number>) => OFTEN.every((what) => (counts[what] ?? 0) > 10);
const METADATA = { source: "loop", step: 0, parents: {} } as const;

const random = seededRandom(testSeed());
const pick = <T>(items: readonly T[]): T => items[randomInt(random, 0, items.length - 1)] as T;
const chance = (probability: number) => random() < probability;

let pool: Pool;
let writer: GroupWriter;
beforeAll(async () => {
  const { url } = await createTestDatabase();
  pool = new Pool({ connectionString: url, max: 24 });
  pool.on("error", () => {});
  writer = new GroupWriter({ pool });
  // Narrower than what three threads ask for: claims, settlements and cancels give out held runs of other threads.
  await setAdmission(pool, { maxQueued: 1, maxRunning: 2 });
  return () => pool.end();
});

test(
  "create, claim, renew, write, settle, cancel, edit and delete at once: no deadlock, nothing inconsistent",
  { timeout: 90_000 },
  async () => {
    const storm: Storm = { begun: performance.now(), counts: {} };
    const actors = [
      create,
      create,
      execute,
      execute,
      execute,
      execute,
      execute,
      renew,
      renew,
      rescue,
      cancel,
      edit,
      edit,
      redispatch,
      release,
      fail,
      remove,
      observe,
    ];
    await Promise.all(actors.map((act) => repeat(storm, act)));
    console.log(JSON.stringify(storm.counts));

    await settleWhatRuns();
    await expectConsistent();
    await executeWhatIsLeft();
    await expectConsistent();
    const { rows } = await pool.query(
      `select count(*) filter (where status in ('pending', 'running'))::int as open,
            count(*) filter (where cancel_action = 'rollback')::int as rolled_back from runs`,
    );
    expect(rows).toEqual([{ open: 0, rolled_back: 0 }]);
    const { rows: stats } = await pool.query(
      "select deadlocks::int from pg_stat_database where datname = current_database()",
    );
    expect(stats).toEqual([{ deadlocks: 0 }]);
    expect(isOften(storm.counts), JSON.stringify(storm.counts)).toBe(true);
  },
);

interface Storm {
  /** In ms of `performance.now`. */
  begun: number;
  counts: Record<string, number>;
}
type Count = (what: string) => void;

async function repeat(storm: Storm, act: (count: Count) => Promise<void>): Promise<void> {
  const count = (what: string) => (storm.counts[what] = (storm.counts[what] ?? 0) + 1);
  const lasts = () => {
    const ms = performance.now() - storm.begun;
    return ms < STORM_MS || (ms < LONGEST_STORM_MS && !isOften(storm.counts));
  };
  while (lasts()) {
    await act(count);
    await delay(randomInt(random, 0, 6));
  }
}

async function create(count: Count): Promise<void> {
  const strategy = pick(["reject", "enqueue", "enqueue", "interrupt", "rollback"] as const);
  const key = chance(0.2) ? { idempotency: { key: `k${randomInt(random, 1, 30)}`, requestHash: "h" } } : {};
  const { outcome } = await createRun(
    pool,
    newRun({ threadId: pick(THREADS), strategy, delaySeconds: chance(0.1) ? 0.05 : 0, ...key }),
  );
  count(outcome);
}

async function someRun(status: string): Promise<{ run_id: string; thread_id: string; attempt: number } | undefined> {
  const { rows } = await pool.query<{ run_id: string; thread_id: string; attempt: number }>(
    "select run_id, thread_id, attempt from runs where status = $1 order by random() limit 1",
    [status],
  );
  return rows[0];
}

async function headOf(threadId: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ head: string | null }>("select thread_head('default', $1) as head", [threadId]);
  return rows[0]?.head ?? undefined;
}

/** Claims a run, writes, and settles it in some way, or abandons it. */
async function execute(count: Count): Promise<void> {
  const runId = chance(0.8) ? await headOf(pick(THREADS)) : (await someRun("pending"))?.run_id;
  if (runId === undefined) return;
  const claim = await claimRun(pool, runId, `storm:${randomUUID()}`, chance(0.2) ? 0.02 : 5, true);
  count(claim.outcome);
  if (claim.outcome === "claimed") await attempt(claim, count);
}

async function attempt(claim: Claimed, count: Count): Promise<void> {
  const { run, saver } = openSaver(pool, claim, writer);
  let config = { configurable: { thread_id: run.thread_id } };
  try {
    for (let i = randomInt(random, 0, 4); i > 0; i--) {
      const values = { channel_values: { n: i }, channel_versions: { n: saver.getNextVersion(i) } };
      config = (await saver.put(
        config,
        { ...emptyCheckpoint(), id: uuid6(0), ...values },
        METADATA,
        values.channel_versions,
      )) as typeof config;
      await Promise.all([saver.putWrites(config, [["n", i]], "task 1"), saver.putWrites(config, [["n", i]], "task 2")]);
      count("written");
    }
  } catch (error) {
    if (!(error instanceof LeaseLost)) throw error;
    count("fenced");
  }
  if (chance(0.15)) return; // abandoned: its lease runs out, or the clean-up finds it
  const settled = await settleRun(pool, run.run_id, run.attempt, settlement());
  count(settled.outcome);
}

function settlement(): Settlement {
  const outcome = pick(["success", "success", "error", "timeout", "interrupted", "handed_over"] as const);
  const error = outcome === "error" || outcome === "timeout" ? { error: { error: "Storm", message: outcome } } : {};
  return { outcome, ...error, values: { n: 1 }, hasNext: chance(0.3), interrupts: {} };
}

/** As the lease thread of a worker that holds several runs does it, some of them not its own any more. */
async function renew(count: Count): Promise<void> {
  const { rows } = await pool.query<{ run_id: string; attempt: number }>(
    "select run_id, attempt from runs where attempt > 0 order by random() limit 5",
  );
  if (rows.length === 0) return;
  const result = await pool.query(RENEW_LEASES, [
    rows.map((row) => row.run_id),
    rows.map((row) => row.attempt),
    chance(0.3) ? 0.01 : 1,
  ]);
  count(result.rowCount === 0 ? "nothing renewed" : "renewed");
}

async function rescue(count: Count): Promise<void> {
  for (const { run_id: runId, attempt: expired } of await listExpired(pool, 10)) {
    const { outcome } = await settleRun(pool, runId, expired, { outcome: "lost" });
    count(outcome === "settled" ? "lost" : "not lost");
  }
}

async function cancel(count: Count): Promise<void> {
  const run = await someRun(pick(["pending", "running", "success"]));
  if (run === undefined) return;
  const action = pick(["interrupt", "rollback"] as const);
  const { outcome } = await cancelRun(pool, {
    tenantId: "default",
    threadId: run.thread_id,
    runId: run.run_id,
    action,
  });
  count(outcome);
}

/** As a state edit does it: the thread's row, no run in flight, checkpoints through the same transaction. */
async function edit(count: Count): Promise<void> {
  const threadId = pick(THREADS);
  await inTransaction(pool, async (client) => {
    await client.query("select 1 from threads where tenant_id = 'default' and thread_id = $1 for update", [threadId]);
    const { rows } = await client.query(
      "select 1 from runs where thread_id = $1 and status in ('pending', 'running') limit 1",
      [threadId],
    );
    if (rows.length > 0) return count("edit refused");
    await new EditSaver(client, "default").put(
      { configurable: { thread_id: threadId } },
      { ...emptyCheckpoint(), id: uuid6(0) },
      { ...METADATA, source: "update" },
      {},
    );
    count("edited");
  });
}

/** As a worker whose child for one run died: of a run that waits, or of one that has been claimed meanwhile. */
async function fail(count: Count): Promise<void> {
  const run = chance(0.2) ? await someRun(pick(["pending", "running"])) : undefined;
  if (run === undefined) return;
  const { outcome } = await failStart(pool, run.run_id, chance(0.5) ? run.attempt : undefined, "the storm");
  count(`start failed: ${outcome}`);
}

async function redispatch(): Promise<void> {
  const run = await someRun("pending");
  if (run !== undefined) await redispatchRun(pool, run.run_id);
}

async function release(count: Count): Promise<void> {
  if ((await releaseHeldRuns(pool, 10)).length > 0) count("released");
}

async function remove(count: Count): Promise<void> {
  if (!chance(0.05)) return;
  const { rows } = await pool.query<{ outcome: string }>(
    "select delete_thread('default', $1) ->> 'outcome' as outcome",
    [pick(THREADS)],
  );
  count(`thread ${rows[0]?.outcome}`);
}

async function observe(): Promise<void> {
  const { rows } = await pool.query(
    "select thread_id from runs where status = 'running' group by thread_id having count(*) > 1",
  );
  expect(rows).toEqual([]);
}

async function settleWhatRuns(): Promise<void> {
  const { rows } = await pool.query<{ run_id: string; attempt: number }>(
    "select run_id, attempt from runs where status = 'running'",
  );
  for (const row of rows) {
    await pool.query("update runs set lease_expires_at = clock_timestamp() - interval '1 s' where run_id = $1", [
      row.run_id,
    ]);
    expect(await settleRun(pool, row.run_id, row.attempt, { outcome: "lost" })).toMatchObject({ outcome: "settled" });
  }
}

/** One run after the other, by what is dispatched: a run that the storm forgot to dispatch would be left over. */
async function executeWhatIsLeft(): Promise<void> {
  for (;;) {
    // Neither a back-off nor a delay is waited for.
    await pool.query(
      "update runs set retry_at = null, available_at = least(available_at, clock_timestamp()) where status = 'pending'",
    );
    const { rows } = await pool.query<{ run_id: string }>(
      "select thread_head('default', t) as run_id from unnest($1::text[]) t where thread_head('default', t) is not null",
      [THREADS],
    );
    if (rows.length === 0) return;
    for (const { run_id: runId } of rows) {
      const claim = await claimRun(pool, runId, "the test", 60, true);
      if (claim.outcome !== "claimed") throw new Error(`the head of a thread cannot be claimed: ${claim.outcome}`);
      await settleRun(pool, runId, claim.run.attempt, { outcome: "success" });
    }
  }
}

async function expectConsistent(): Promise<void> {
  const { rows: wrongStatus } = await pool.query(`
    select thread_id, status, settled_status from threads t
     where status <> case when exists (select 1 from runs r where r.thread_id = t.thread_id and r.status in ('pending', 'running'))
                          then 'busy' else settled_status end`);
  expect(wrongStatus).toEqual([]);
  const { rows: orphans } = await pool.query(`
    select run_id from checkpoints c where run_id is not null and not exists (select 1 from runs r where r.run_id = c.run_id)
    union select run_id from checkpoint_writes w where run_id is not null and not exists (select 1 from runs r where r.run_id = w.run_id)`);
  expect(orphans, "rows of runs that were rolled back or deleted").toEqual([]);
  const { rows: images } = await pool.query(`
    select overwritten_by from (select overwritten_by from overwritten_writes union select overwritten_by from overwritten_checkpoints) i
     where not exists (select 1 from runs r where r.run_id = i.overwritten_by and r.status in ('pending', 'running'))`);
  expect(images, "images kept for a rollback of runs that have ended").toEqual([]);
  const { rows: rolledBack } = await pool.query(
    "select run_id from runs where status = 'success' and cancel_action is not null",
  );
  expect(rolledBack, "runs that were cancelled and still succeeded").toEqual([]);
  const { rows: begun } = await pool.query(
    "select thread_id from runs where status = 'pending' and attempt > 0 group by thread_id having count(*) > 1",
  );
  expect(begun, "threads with two runs that have begun").toEqual([]);
}
