import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../../../../test/support/database.ts";
import { newRun } from "../../../../test/failure/support/runs.ts";
import { deleteThread } from "../threads/thread-queries.ts";
import {
  getDemand,
  listStranded,
  readClock,
  redispatchRun,
  releaseHeldRuns,
  setAdmission,
  type Admission,
} from "./fleet-queries.ts";
import { cancelRun, claimRun, createRun, settleRun, type NewRun } from "./run-queries.ts";
import type { Dispatch } from "./run.ts";

// Which runs of a tenant go to the queue, and when: a window for each tenant, and what is held flows after it.

let pool: Pool;
beforeEach(async () => {
  ({ pool } = await createTestDatabase());
});

const bound = (maxQueued: number, maxRunning?: number) =>
  setAdmission(pool, { maxQueued, maxRunning } satisfies Admission);

interface Accepted {
  runId: string;
  threadId: string;
  dispatch: Dispatch | null;
}

async function accept(tenantId: string, more: Partial<NewRun> = {}): Promise<Accepted> {
  const run = newRun({ tenantId, ...more });
  const created = await createRun(pool, run);
  if (created.outcome !== "created") throw new Error(created.outcome);
  return { runId: run.runId, threadId: run.threadId, dispatch: created.dispatch };
}

async function acceptMany(tenantId: string, count: number): Promise<Accepted[]> {
  const accepted: Accepted[] = [];
  for (let i = 0; i < count; i++) accepted.push(await accept(tenantId));
  return accepted;
}

const admitted = (runs: Accepted[]) => runs.map(({ dispatch }) => dispatch !== null);
const claim = async (runId: string) => claimRun(pool, runId, "the test", 60, true);
/** @returns the run that the claim made room for. */
async function start(runId: string): Promise<string | undefined> {
  const claimed = await claim(runId);
  if (claimed.outcome !== "claimed") throw new Error(claimed.outcome);
  return claimed.run.next?.run_id;
}
/** @returns the run that the end made room for. */
async function finish(runId: string, attempt = 1): Promise<string | undefined> {
  const settled = await settleRun(pool, runId, attempt, { outcome: "success" });
  if (settled.outcome !== "settled") throw new Error(settled.outcome);
  return settled.next?.run_id;
}
const cancel = ({ runId, threadId }: Accepted, tenantId: string) =>
  cancelRun(pool, { tenantId, threadId, runId, action: "interrupt" });
async function countOf(tenantId: string, column: "held_at" | "dispatched_at" | "released_at"): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `select count(${column})::int as n from runs where tenant_id = $1 and status = 'pending'`,
    [tenantId],
  );
  return rows[0]?.n ?? 0;
}

describe("a window of runs on the queue", () => {
  test("is as wide as the setting, for each tenant; what comes after it is held", async () => {
    await bound(3);
    expect(admitted(await acceptMany("a", 5))).toEqual([true, true, true, false, false]);
    expect(admitted(await acceptMany("b", 2))).toEqual([true, true]);
    expect([await countOf("a", "held_at"), await countOf("b", "held_at")]).toEqual([2, 0]);
  });

  test("is 32 runs wide on a new database, and without bounds by the setting 0", async () => {
    expect(admitted(await acceptMany("a", 34)).filter(Boolean)).toHaveLength(32);
    await bound(0);
    expect(admitted(await acceptMany("a", 3))).toEqual([true, true, true]);
    expect(await releaseHeldRuns(pool, 100)).toHaveLength(2); // what was held before has room now
  });

  test("moves on with each claim, which gives out what was held longest", async () => {
    await bound(2);
    const runs = (await acceptMany("a", 6)).map(({ runId }) => runId) as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const others = await acceptMany("b", 3);
    expect(await start(runs[0])).toBe(runs[2]);
    expect(await start(runs[1])).toBe(runs[3]);
    expect(await start(others[0]?.runId as string)).toBe(others[2]?.runId); // its own tenant's, never another's
    expect(await start(runs[2])).toBe(runs[4]);
    expect(await start(runs[3])).toBe(runs[5]);
    expect(await start(runs[4])).toBeUndefined();
    expect(await countOf("a", "held_at")).toBe(0);
  });

  test("moves on when a run that waits on the queue is cancelled, or goes with its thread; not when a held one is", async () => {
    await bound(2);
    const runs = (await acceptMany("a", 6)) as [Accepted, Accepted, Accepted, Accepted, Accepted, Accepted];
    expect(await cancel(runs[3], "a")).toMatchObject({ outcome: "cancelled", next: null });
    expect(await cancel(runs[0], "a")).toMatchObject({ outcome: "cancelled", next: { run_id: runs[2].runId } });
    expect(await deleteThread(pool, "a", runs[1].threadId)).toMatchObject({
      outcome: "deleted",
      next: { run_id: runs[4].runId },
    });
    expect(await deleteThread(pool, "a", runs[5].threadId)).toMatchObject({ outcome: "deleted", next: null });
    expect([await countOf("a", "dispatched_at"), await countOf("a", "held_at")]).toEqual([2, 0]);
  });

  test("is not passed by a new run, nor by the next run of a thread, when others are held", async () => {
    await bound(1);
    const first = await accept("a");
    const second = await accept("a", { threadId: first.threadId }); // behind the first, so not runnable yet
    const other = await accept("a");
    expect([await countOf("a", "released_at"), await countOf("a", "held_at")]).toEqual([1, 1]);
    expect(await start(first.runId)).toBe(other.runId);
    expect(await finish(first.runId)).toBeUndefined(); // the second is held now, behind the other
    expect((await accept("a")).dispatch).toBeNull();
    expect(await start(other.runId)).toBe(second.runId);
  });

  test("a held run keeps its thread's order: what is behind it waits, and gets its turn", async () => {
    await bound(1);
    const busy = await accept("a");
    const [first, second] = [await accept("a", { threadId: "t" }), await accept("a", { threadId: "t" })];
    expect((await claim(second.runId)).outcome).toBe("not_head");
    expect(await start(busy.runId)).toBe(first.runId);
    expect((await claim(second.runId)).outcome).toBe("not_head");
    await start(first.runId);
    expect(await finish(first.runId)).toBe(second.runId);
  });

  test("a run that has begun is never held: handed over or lost, it is on the queue again beside a full window", async () => {
    await bound(1);
    const first = await accept("a");
    const runs = await acceptMany("a", 3);
    await start(first.runId);
    expect(await countOf("a", "dispatched_at")).toBe(1);
    const settled = await settleRun(pool, first.runId, 1, { outcome: "handed_over" });
    expect(settled).toMatchObject({ status: "pending", next: { run_id: first.runId } });
    expect(await countOf("a", "dispatched_at")).toBe(2);
    expect(await start(runs[0]?.runId as string)).toBeUndefined(); // back to one first
    expect(await start(first.runId)).toBe(runs[1]?.runId);
  });

  test("a delayed run is held like any other when its time has come", async () => {
    await bound(1);
    await accept("a");
    const late = await accept("a", { delaySeconds: 3600 });
    expect(await countOf("a", "held_at")).toBe(0);
    await pool.query("update runs set available_at = now(), ready_at = now() where run_id = $1", [late.runId]);
    expect(await redispatchRun(pool, late.runId)).toBeNull();
    const { rows } = await pool.query("select held_at is not null as held, ready_at from runs where run_id = $1", [
      late.runId,
    ]);
    expect(rows).toEqual([{ held: true, ready_at: null }]); // and the sweep does not look at it again
  });
});

describe("what is missed", () => {
  test("a place that nobody gave away is found, for all tenants with room and no others", async () => {
    await bound(2);
    await Promise.all(["a", "b", "c"].map((tenantId) => acceptMany(tenantId, 5)));
    await pool.query(
      "update runs set status = 'interrupted', ended_at = now() where held_at is null and tenant_id in ('a', 'c')",
    );
    expect(await releaseHeldRuns(pool, 3)).toHaveLength(3);
    expect(await releaseHeldRuns(pool, 3)).toHaveLength(1);
    expect(await releaseHeldRuns(pool, 3)).toEqual([]);
    expect(await Promise.all(["a", "b", "c"].map((tenantId) => countOf(tenantId, "dispatched_at")))).toEqual([2, 2, 2]);
  });

  test("a settlement finds it too", async () => {
    await bound(2);
    const runs = (await acceptMany("a", 4)) as [Accepted, Accepted, Accepted, Accepted];
    await start(runs[0].runId);
    await pool.query("update runs set status = 'interrupted', ended_at = now() where run_id = $1", [runs[1].runId]);
    expect(await finish(runs[0].runId)).toBe(runs[3].runId);
  });

  test("after a wipe of Redis what was admitted is dispatched again, what was held stays held", async () => {
    await bound(2);
    const runs = await acceptMany("a", 5);
    const now = await readClock(pool);
    const stranded = await listStranded(pool, { now, oldestWaitingMs: null, slackSeconds: 0, limit: 100 });
    expect(stranded.toSorted()).toEqual(
      runs
        .slice(0, 2)
        .map(({ runId }) => runId)
        .toSorted(),
    );
    for (const runId of stranded)
      expect(await redispatchRun(pool, runId)).toMatchObject({ run_id: runId, dispatch: 2 });
    expect([await countOf("a", "dispatched_at"), await countOf("a", "held_at")]).toEqual([2, 3]);
  });
});

describe("a bound on running runs", () => {
  test("admits no more than may run, and each end lets the longest held one go", async () => {
    await bound(32, 2);
    const runs = (await acceptMany("a", 4)) as [Accepted, Accepted, Accepted, Accepted];
    expect(admitted(runs)).toEqual([true, true, false, false]);
    expect(await start(runs[0].runId)).toBeUndefined();
    expect(await start(runs[1].runId)).toBeUndefined();
    expect(await finish(runs[0].runId)).toBe(runs[2].runId);
    expect(await start(runs[2].runId)).toBeUndefined();
    expect(await finish(runs[1].runId)).toBe(runs[3].runId);
  });

  test("is kept by the claim itself, however many claim at once", async () => {
    await bound(32);
    const runs = await acceptMany("a", 12);
    await bound(32, 3);
    const outcomes = await Promise.all(runs.map(async ({ runId }) => (await claim(runId)).outcome));
    expect(outcomes.filter((outcome) => outcome === "claimed")).toHaveLength(3);
    expect(outcomes.filter((outcome) => outcome === "held")).toHaveLength(9);
    expect(await countOf("a", "held_at")).toBe(9);
    expect((await claim((await accept("b")).runId)).outcome).toBe("claimed");
  });

  test("counts a run between two attempts, which goes on before a held one begins", async () => {
    await bound(32, 1);
    const [first, second] = (await acceptMany("a", 2)) as [Accepted, Accepted];
    await start(first.runId);
    expect(await settleRun(pool, first.runId, 1, { outcome: "handed_over" })).toMatchObject({
      next: { run_id: first.runId },
    });
    expect(await releaseHeldRuns(pool, 10)).toEqual([]);
    expect((await claim(second.runId)).outcome).toBe("held");
    await start(first.runId);
    expect(await finish(first.runId, 2)).toBe(second.runId);
  });

  test("a thread with many runs does not keep the place from other threads", async () => {
    await bound(32, 1);
    const first = await accept("a", { threadId: "long" });
    await accept("a", { threadId: "long" });
    const other = await accept("a");
    await start(first.runId);
    expect(await finish(first.runId)).toBe(other.runId);
  });
});

test("demand counts what is held as runnable, and its age from when it became so", async () => {
  await bound(1);
  const [first, second] = (await acceptMany("a", 3)) as [Accepted, Accepted, Accepted];
  await accept("b");
  await accept("b", { threadId: first.threadId, tenantId: "a" }); // behind another run: not runnable
  await pool.query("update runs set held_at = now() - interval '100 s' where run_id = $1", [second.runId]);
  const demand = await getDemand(pool);
  expect(demand).toMatchObject({ runnable: 4, held: 2, running: 0 });
  expect(Math.round(demand.oldest_seconds)).toBe(100);
  expect(await start(first.runId)).toBe(second.runId);
  expect(Math.round((await getDemand(pool)).oldest_seconds)).toBe(100); // admitted now, and as old as before
  const claimed = await claim(second.runId);
  expect(claimed.outcome === "claimed" && Math.round(claimed.run.waited_seconds)).toBe(100);
});

test("setting the bounds says what they were, when they change", async () => {
  expect(await bound(32)).toBeUndefined();
  expect(await bound(5, 7)).toEqual({ max_queued: 32, max_running: null });
  expect(await bound(5, 7)).toBeUndefined();
  expect(await bound(5)).toEqual({ max_queued: 5, max_running: 7 });
});

describe("at once", () => {
  const TENANTS = ["a", "b", "c"];

  /** Runs everything by dispatches alone, as workers would; `lose` drops some of them, as a worker does that dies. */
  async function work(
    queue: string[],
    isOver: () => boolean,
    lose: (n: number) => boolean,
  ): Promise<Map<string, number>> {
    const started = new Map<string, number>();
    let dispatches = 0;
    const enqueue = (runId: string | undefined) => {
      if (runId !== undefined && !lose(dispatches++)) queue.push(runId);
    };
    const worker = async () => {
      while (!isOver() || queue.length > 0) {
        const runId = queue.shift();
        if (runId === undefined) {
          await new Promise((resolve) => setTimeout(resolve, 2));
          continue;
        }
        const claimed = await claim(runId);
        if (claimed.outcome !== "claimed") continue;
        started.set(runId, (started.get(runId) ?? 0) + 1);
        enqueue(claimed.run.next?.run_id);
        enqueue(await finish(runId));
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    return started;
  }

  test("fifty creates and the claims of their runs lose no run, start none twice and never deadlock", async () => {
    await bound(4, 6);
    const queue: string[] = [];
    const all: string[] = [];
    let done = false;
    const submit = async (i: number) => {
      for (let n = 0; n < 4; n++) {
        const threadId = i % 5 === 0 ? `shared-${i % 10}` : randomUUID();
        const accepted = await accept(TENANTS[i % 3] as string, { threadId });
        all.push(accepted.runId);
        if (accepted.dispatch !== null) queue.push(accepted.dispatch.run_id);
      }
    };
    /** The sweep, as the gateway does it. */
    const sweep = async () => {
      for (;;) {
        const released = await releaseHeldRuns(pool, 100);
        queue.push(...released.map(({ run_id }) => run_id));
        const { rows } = await pool.query("select 1 from runs where status in ('pending', 'running') limit 1");
        if (all.length === 200 && rows.length === 0) break;
        // What was dispatched and lost: the test's own measure of time, since its queue knows of no age.
        const lost = await pool.query<{ run_id: string }>(
          "select run_id from runs where status = 'pending' and dispatched_at < clock_timestamp() - interval '0.3 s'",
        );
        for (const { run_id: runId } of lost.rows) {
          const dispatch = await redispatchRun(pool, runId);
          if (dispatch !== null) queue.push(dispatch.run_id);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      done = true;
    };
    const [started] = await Promise.all([
      work(
        queue,
        () => done,
        (n) => n % 7 === 0,
      ),
      sweep(),
      ...Array.from({ length: 50 }, (_, i) => submit(i)),
    ]);
    expect([...started.keys()].toSorted()).toEqual(all.toSorted());
    expect(new Set(started.values())).toEqual(new Set([1]));
    const { rows } = await pool.query(
      "select status, count(*)::int as runs from runs group by status union all select 'deadlocks', deadlocks::int from pg_stat_database where datname = current_database()",
    );
    expect(rows).toEqual([
      { status: "success", runs: 200 },
      { status: "deadlocks", runs: 0 },
    ]);
  });

  test("two backlogs get their turns one after the other, whoever came first", async () => {
    await bound(4);
    const queue = [...(await acceptMany("a", 60)), ...(await acceptMany("b", 20))].flatMap(({ dispatch }) =>
      dispatch === null ? [] : [dispatch.run_id],
    );
    const order: string[] = [];
    for (let runId = queue.shift(); runId !== undefined; runId = queue.shift()) {
      const claimed = await claim(runId);
      if (claimed.outcome !== "claimed") throw new Error(claimed.outcome);
      order.push(claimed.run.tenant_id);
      if (claimed.run.next !== null) queue.push(claimed.run.next.run_id);
    }
    expect(order).toHaveLength(80);
    expect(order.lastIndexOf("b")).toBeLessThan(48); // 20 of its own, as many of the other's, and the window before it
    for (let i = 4; i < 40; i += 8) expect(order.slice(i, i + 8).filter((tenant) => tenant === "b")).toHaveLength(4);
  });
});
