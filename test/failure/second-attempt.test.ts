import { expect, test } from "vitest";
import { cancelRun, type NewRun } from "@flotilla/shared/runs/run-queries";
import type { StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";
import { Fleet } from "./support/fleet.ts";

// Ends of a run that lost its first worker: what counts over all attempts, and what has to go of all of them.

const LIMIT = 6;

async function startFleet(env: Record<string, string> = {}): Promise<{ fleet: Fleet; workers: StackProcess[] }> {
  const fleet = await Fleet.start(env);
  return { fleet, workers: await Promise.all([fleet.stack.startWorker(), fleet.stack.startWorker()]) };
}

const slow = { inputs: ["in"], steps: 1_000, delay_ms: 200 };

/** Kills the run's worker in its first attempt, and waits for a step of the second. */
async function reachSecondAttempt(
  { fleet, workers }: Awaited<ReturnType<typeof startFleet>>,
  run: NewRun,
): Promise<void> {
  const pid = await fleet.stepBegun(run.runId, 2);
  await (workers.find((worker) => worker.pid === pid) as StackProcess).kill();
  await eventually(() => fleet.effects(run.runId).some((effect) => effect.pid !== pid), {
    timeoutMs: 20_000,
    what: "a step of the second attempt",
  });
}

test.each(["sync", "exit"] as const)(
  "with durability %s, the time limit counts from the first start over both attempts",
  async (durability) => {
    const started = await startFleet({ BG_JOB_TIMEOUT_SECS: String(LIMIT) });
    const { fleet } = started;
    const run = await fleet.submit({}, { input: slow, durability, config: { recursion_limit: 2_000 } });
    await reachSecondAttempt(started, run);
    const row = await fleet.ended(run.runId);
    expect(row).toMatchObject({ status: "timeout", attempt: 2, error: { error: "RunTimedOut" } });
    const { rows } = await fleet.pool.query<{
      whole: number;
      second: number;
      status: string;
      values: { log?: number[] } | null;
    }>(
      `select extract(epoch from ended_at - started_at)::float8 as whole,
              extract(epoch from ended_at - (story -> 0 ->> 'at')::timestamptz)::float8 as second, t.status, t."values"
         from runs r join threads t using (tenant_id, thread_id) where run_id = $1`,
      [run.runId],
    );
    const [{ whole, second, status, values }] = rows as [(typeof rows)[0]];
    expect(whole).toBeGreaterThanOrEqual(LIMIT);
    expect(second, "the second attempt did not have the whole time to itself").toBeLessThan(LIMIT);
    expect(status).toBe("error");
    const log = values?.log ?? [];
    expect(log, "no step is missing and none is there twice").toEqual(Array.from(log, (_, i) => i + 1));
  },
);

test("a run that is rolled back in its second attempt leaves nothing of either", async () => {
  const started = await startFleet();
  const { fleet } = started;
  const run = await fleet.submit({}, { input: slow, listening: "events", config: { recursion_limit: 2_000 } });
  await reachSecondAttempt(started, run);
  const before = await fleet.chain(run.threadId);
  expect(before).toContain("loop1");
  await cancelRun(fleet.pool, { ...run, action: "rollback" });
  await eventually(
    async () => {
      const { rows } = await fleet.pool.query("select 1 from runs where run_id = $1", [run.runId]);
      return rows.length === 0;
    },
    { timeoutMs: 20_000, what: "the run to be gone" },
  );
  for (const table of ["checkpoints", "checkpoint_writes", "checkpoint_blobs"]) {
    const { rows } = await fleet.pool.query(`select 1 from ${table} where thread_id = $1`, [run.threadId]);
    expect(rows, table).toEqual([]);
  }
  expect(await fleet.threadValues(run.threadId)).toBeNull();
  expect((await fleet.events(run.runId)).at(-1)?.event, "whoever follows is told of the end").toBe("end");
});
