import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import {
  cancelRun,
  claimRun,
  createRun,
  listStranded,
  readClock,
  redispatchRun,
  settleRun,
  type NewRun,
} from "./run-queries.ts";
import { isFinal, RUN_STATUSES, TRANSITIONS, type RunEvent, type RunStatus } from "./run.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});

async function accept(threadId: string, more: Partial<NewRun> = {}): Promise<string> {
  const runId = randomUUID();
  const outcome = await createRun(database.pool, {
    tenantId: "default",
    threadId,
    threadMustExist: false,
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
  expect(outcome.outcome).toBe("created");
  return runId;
}

const claim = async (runId: string) => (await claimRun(database.pool, runId, "test:1:x", 60, false)).outcome;
const rowOf = async (runId: string) =>
  (await database.pool.query("select * from runs where run_id = $1", [runId])).rows[0];
const statusOf = async (runId: string) => (await rowOf(runId)).status as RunStatus;
const threadStatus = async (threadId: string) =>
  (await database.pool.query("select status from threads where thread_id = $1", [threadId])).rows[0].status as string;
const expireLease = (runId: string) =>
  database.pool.query(
    "update runs set lease_expires_at = clock_timestamp() - interval '1 s' where run_id = $1 and status = 'running'",
    [runId],
  );

async function bringTo(status: RunStatus): Promise<{ runId: string; threadId: string }> {
  const threadId = randomUUID();
  const runId = await accept(threadId);
  if (status === "pending") return { runId, threadId };
  await claim(runId);
  if (status === "running") return { runId, threadId };
  const error = { error: "E", message: "m" };
  await settleRun(database.pool, runId, 1, {
    outcome: status,
    ...(status === "error" || status === "timeout" ? { error } : {}),
  });
  return { runId, threadId };
}

const EVENTS: Record<RunEvent, (runId: string, threadId: string) => Promise<unknown>> = {
  claim: (runId) => claim(runId),
  finish: (runId) => settleRun(database.pool, runId, 1, { outcome: "success", values: {} }),
  fail: (runId) => settleRun(database.pool, runId, 1, { outcome: "error", error: { error: "E", message: "m" } }),
  time_out: (runId) => settleRun(database.pool, runId, 1, { outcome: "timeout", error: { error: "E", message: "m" } }),
  hand_over: (runId) => settleRun(database.pool, runId, 1, { outcome: "handed_over" }),
  lose: async (runId) => {
    await expireLease(runId);
    return settleRun(database.pool, runId, 1, { outcome: "lost" });
  },
  stop: async (runId, threadId) => {
    await cancelRun(database.pool, { tenantId: "default", threadId, runId, action: "interrupt" });
    return settleRun(database.pool, runId, 1, { outcome: "success" }); // the worker comes to its end; the cancel was first
  },
};

describe("the state machine in SQL is the table", () => {
  for (const from of RUN_STATUSES) {
    for (const event of Object.keys(TRANSITIONS[from]) as RunEvent[]) {
      const to = TRANSITIONS[from][event];
      test(`${from}: ${event} → ${to}`, async () => {
        const { runId, threadId } = await bringTo(from);
        await EVENTS[event](runId, threadId);
        expect(await statusOf(runId)).toBe(to === "refused" ? from : to);
        const expected = isFinal(await statusOf(runId)) ? /idle|error/ : /busy/;
        expect(await threadStatus(threadId)).toMatch(expected);
      });
    }
  }
});

describe("which run of a thread may start", () => {
  test("only the head can be claimed; the next is released when it settles", async () => {
    const threadId = randomUUID();
    const [a, b] = [await accept(threadId), await accept(threadId)];
    expect(await claim(b)).toBe("not_head");
    expect(await claim(a)).toBe("claimed");
    expect(await claim(b)).toBe("not_head");
    const settled = await settleRun(database.pool, a, 1, { outcome: "success" });
    expect(settled).toMatchObject({ outcome: "settled", next: { run_id: b, attempt: 0 } });
    expect(await claim(b)).toBe("claimed");
  });

  test("a delayed run blocks nobody and is found when its time has come", async () => {
    const threadId = randomUUID();
    const late = await accept(threadId, { delaySeconds: 3600 });
    const now = await accept(threadId);
    expect(await claim(late)).toBe("not_due");
    expect(await claim(now)).toBe("claimed");
    await settleRun(database.pool, now, 1, { outcome: "success" });
    expect(await threadStatus(threadId)).toBe("busy"); // a delayed run is in flight
    await database.pool.query(
      "update runs set available_at = now() - interval '1 s', ready_at = now() - interval '1 s' where run_id = $1",
      [late],
    );
    expect(
      await listStranded(database.pool, {
        now: await readClock(database.pool),
        oldestWaitingMs: null,
        slackSeconds: 2,
        limit: 100,
      }),
    ).toContain(late);
    expect(await redispatchRun(database.pool, late)).toMatchObject({ run_id: late });
    expect(await claim(late)).toBe("claimed");
  });

  test("a run that has begun keeps its thread, also while it waits for its next try", async () => {
    const threadId = randomUUID();
    const a = await accept(threadId);
    await claim(a);
    await settleRun(database.pool, a, 1, { outcome: "handed_over" });
    const b = await accept(threadId);
    expect(await claim(b)).toBe("not_head");
    await database.pool.query("update runs set retry_at = now() + interval '1 hour' where run_id = $1", [a]);
    expect(await claim(a)).toBe("not_due");
    expect(await claim(b)).toBe("not_head");
  });

  test("only what is stranded is found: dispatched before the oldest waiting job and still pending", async () => {
    const threads = [randomUUID(), randomUUID()];
    const [old, young] = await Promise.all(threads.map((threadId) => accept(threadId)));
    await database.pool.query("update runs set dispatched_at = now() - interval '1 minute' where run_id = $1", [old]);
    const waitingSince = Date.now() - 30_000;
    const stranded = await listStranded(database.pool, {
      now: await readClock(database.pool),
      oldestWaitingMs: waitingSince,
      slackSeconds: 2,
      limit: 100,
    });
    expect(stranded).toContain(old);
    expect(stranded).not.toContain(young);
    const again = await redispatchRun(database.pool, old as string);
    expect(again?.dispatch).toBe(2);
  });
});

describe("losing workers", () => {
  test("twice without progress leads to a holder of its own, three more times to an error with its story", async () => {
    const { runId } = await bringTo("pending");
    const outcomes: string[] = [];
    const alone: string[] = [];
    for (let attempt = 1; attempt <= 5; attempt++) {
      await database.pool.query("update runs set retry_at = null where run_id = $1", [runId]);
      if (attempt > 2) alone.push((await claimRun(database.pool, runId, "test:1:x", 60, false)).outcome);
      const claimed = await claimRun(database.pool, runId, "test:1:x", 60, attempt > 2);
      outcomes.push(claimed.outcome);
      await expireLease(runId);
      await settleRun(database.pool, runId, attempt, { outcome: "lost" });
    }
    expect(outcomes).toEqual(["claimed", "claimed", "claimed", "claimed", "claimed"]);
    expect(alone).toEqual(["alone", "alone", "alone"]);
    const row = await rowOf(runId);
    expect(row).toMatchObject({ status: "error", attempt: 5, error: { error: "PoisonRun" } });
    expect(row.story).toHaveLength(5);
  });

  test("does not count while Postgres was away", async () => {
    const { runId } = await bringTo("pending");
    for (let attempt = 1; attempt <= 6; attempt++) {
      expect(await claim(runId)).toBe("claimed");
      await expireLease(runId);
      await settleRun(database.pool, runId, attempt, { outcome: "lost", counts: false });
    }
    expect(await rowOf(runId)).toMatchObject({ status: "pending", losses: 0, solo: false });
  });

  test("a lease that was renewed meanwhile is not taken away", async () => {
    const { runId } = await bringTo("running");
    expect(await settleRun(database.pool, runId, 1, { outcome: "lost" })).toEqual({ outcome: "fenced" });
    expect(await statusOf(runId)).toBe("running");
  });
});

describe("a cancel that was recorded first wins", () => {
  test("a rollback never ends as success", async () => {
    const { runId, threadId } = await bringTo("running");
    await cancelRun(database.pool, { tenantId: "default", threadId, runId, action: "interrupt" });
    await cancelRun(database.pool, { tenantId: "default", threadId, runId, action: "rollback" });
    await cancelRun(database.pool, { tenantId: "default", threadId, runId, action: "interrupt" }); // never back
    expect(await settleRun(database.pool, runId, 1, { outcome: "success", values: { a: 1 } })).toMatchObject({
      status: "rollback",
    });
    expect(await rowOf(runId)).toBeUndefined();
    expect(await threadStatus(threadId)).toBe("idle");
  });

  test("an expired run that carries a cancel ends instead of running again", async () => {
    const { runId, threadId } = await bringTo("running");
    await cancelRun(database.pool, { tenantId: "default", threadId, runId, action: "interrupt" });
    await expireLease(runId);
    expect(await settleRun(database.pool, runId, 1, { outcome: "lost" })).toMatchObject({ status: "interrupted" });
  });
});
