import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import { eventually } from "../../../../test/support/wait.ts";
import { listStranded, readClock, redispatchRun } from "./fleet-queries.ts";
import { cancelRun, claimRun, createRun, failStart, settleRun, type NewRun } from "./run-queries.ts";
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

describe("progress and patience", () => {
  const store = (threadId: string, runId: string, ns: string) =>
    database.pool.query(
      `insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, checkpoint, metadata, run_id) values ($1, $2, $3, '{}', '{}', $4)`,
      [threadId, ns, randomUUID(), runId],
    );
  const lose = async (runId: string, attempt: number) => {
    await expireLease(runId);
    await settleRun(database.pool, runId, attempt, { outcome: "lost" });
    await database.pool.query("update runs set retry_at = null where run_id = $1", [runId]);
  };

  test("a run that gets further in a subgraph each time is never taken for a poison run", async () => {
    const { runId, threadId } = await bringTo("pending");
    for (let attempt = 1; attempt <= 8; attempt++) {
      expect((await claimRun(database.pool, runId, "test:1:x", 60, true)).outcome).toBe("claimed");
      await store(threadId, runId, "node:1");
      await lose(runId, attempt);
    }
    expect(await rowOf(runId)).toMatchObject({ status: "pending", losses: 0, solo: false });
  });

  test("what an earlier attempt stored is no progress of the next", async () => {
    const { runId, threadId } = await bringTo("running");
    await store(threadId, runId, "");
    await store(threadId, runId, "node:1");
    await lose(runId, 1);
    await claim(runId);
    await lose(runId, 2);
    expect(await rowOf(runId)).toMatchObject({ losses: 1 });
  });

  test("progress before a hand-over forgives the losses before it", async () => {
    const { runId, threadId } = await bringTo("running");
    await lose(runId, 1);
    await claim(runId);
    await store(threadId, runId, "");
    await settleRun(database.pool, runId, 2, { outcome: "handed_over" });
    expect(await rowOf(runId)).toMatchObject({ losses: 0 });
  });

  test("a run that runs alone is handed over without a pause", async () => {
    const { runId } = await bringTo("running");
    await lose(runId, 1);
    await claim(runId);
    await lose(runId, 2);
    await claimRun(database.pool, runId, "test:1:x", 60, true);
    const settled = await settleRun(database.pool, runId, 3, { outcome: "handed_over" });
    expect(settled).toMatchObject({ status: "pending", next: { run_id: runId } });
    expect(await rowOf(runId)).toMatchObject({ retry_at: null, solo: true });
  });

  test("a settlement whose answer was lost is answered again, with the run that comes next", async () => {
    const threadId = randomUUID();
    const [a, b] = [await accept(threadId), await accept(threadId)];
    await claim(a);
    await settleRun(database.pool, a, 1, { outcome: "success" });
    expect(await settleRun(database.pool, a, 1, { outcome: "success" })).toMatchObject({
      outcome: "settled",
      status: "success",
    });
    expect(await settleRun(database.pool, a, 1, { outcome: "error", error: { error: "E", message: "m" } })).toEqual({
      outcome: "fenced",
    });
    expect(await claim(b)).toBe("claimed");
  });

  test("a run that cannot be started ends at the third time, and is left alone once it has been", async () => {
    const { runId, threadId } = await bringTo("pending");
    const next = await accept(threadId);
    expect(await failStart(database.pool, runId, 0, "no memory")).toMatchObject({ status: "pending", next: null });
    expect(await failStart(database.pool, runId, undefined, "no memory")).toMatchObject({ status: "pending" });
    expect(await failStart(database.pool, runId, 0, "no\0 memory")).toMatchObject({
      status: "error",
      next: { run_id: next },
    });
    expect(await rowOf(runId)).toMatchObject({
      status: "error",
      error: { error: "PoisonRun", message: expect.stringContaining("no memory") },
    });
    expect((await rowOf(runId)).story).toHaveLength(3);
    expect(await failStart(database.pool, runId, 0, "late")).toEqual({ outcome: "fenced" });
    const started = await bringTo("running");
    expect(await failStart(database.pool, started.runId, 0, "late")).toEqual({ outcome: "fenced" });
  });
});

describe("a thread whose run ended without its worker", () => {
  const isStale = async (threadId: string) =>
    (
      await database.pool.query("select state_stale_at is not null as stale from threads where thread_id = $1", [
        threadId,
      ])
    ).rows[0].stale as boolean;

  test("is stale when the run had begun, until a later run says what its state is", async () => {
    const { runId, threadId } = await bringTo("running");
    await settleRun(database.pool, runId, 1, { outcome: "handed_over" });
    expect(await isStale(threadId)).toBe(false);
    expect(await cancelRun(database.pool, { tenantId: "default", threadId, runId, action: "interrupt" })).toMatchObject(
      { stale: true },
    );
    const next = await accept(threadId);
    expect(
      await cancelRun(database.pool, { tenantId: "default", threadId, runId: next, action: "interrupt" }),
    ).toMatchObject({ stale: true });
    const last = await accept(threadId);
    await claim(last);
    await settleRun(database.pool, last, 1, { outcome: "success", values: {} });
    expect(await isStale(threadId)).toBe(false);
  });

  test("takes no answer before its questions are read again", async () => {
    const { runId, threadId } = await bringTo("running");
    await settleRun(database.pool, runId, 1, {
      outcome: "success",
      values: {},
      interrupts: { t: [{ id: "q", value: 1 }] },
      hasNext: true,
    });
    const resume = { kind: "only", answer: 1 } as const;
    const answered = await accept(threadId, { resume, threadMustExist: true });
    await claim(answered);
    await settleRun(database.pool, answered, 1, { outcome: "handed_over" });
    await cancelRun(database.pool, { tenantId: "default", threadId, runId: answered, action: "interrupt" });
    await expect(accept(threadId, { resume, threadMustExist: true })).rejects.toThrow("state_stale");
  });
});

test("a question that still waits after a failed run can be answered", async () => {
  const { runId, threadId } = await bringTo("running");
  const failure = { error: "E", message: "m" };
  await settleRun(database.pool, runId, 1, {
    outcome: "error",
    error: failure,
    values: {},
    interrupts: { t: [{ id: "q", value: 1 }] },
  });
  expect(await threadStatus(threadId)).toBe("error");
  await accept(threadId, { resume: { kind: "only", answer: 1 }, threadMustExist: true });
});

test("a run for a thread that is being deleted is accepted on a new one", async () => {
  const { runId, threadId } = await bringTo("success");
  const client = await database.pool.connect();
  await client.query("begin");
  await client.query("select delete_thread('default', $1)", [threadId]);
  const accepted = accept(threadId);
  await eventually(async () => {
    const { rows } = await database.pool.query(
      "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    );
    return rows.length > 0;
  });
  await client.query("commit");
  client.release();
  expect(await statusOf(await accepted)).toBe("pending");
  expect(await rowOf(runId)).toBeUndefined();
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
