import { randomUUID } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import {
  acknowledgeDeadLetter,
  getDeadLetter,
  listDeadLetters,
  noteChildDeath,
  replayRun,
} from "./dead-letter-queries.ts";
import { countDeadLetters } from "./fleet-queries.ts";
import { claimRun, createRun, failStart, getRun, RENEW_LEASES, settleRun } from "./run-queries.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});

const kwargs = { input: {}, stream_mode: ["values"] };

async function accept(threadId: string, tenantId = "default"): Promise<string> {
  const runId = randomUUID();
  await createRun(database.pool, {
    tenantId, threadId, runId, kwargs, threadMustExist: false, temporary: false, assistantMetadata: undefined, bindGraph: true,
    assistantId: randomUUID(), graphId: "g", metadata: {}, threadMetadata: {}, strategy: "enqueue", delaySeconds: 0, resume: undefined,
    idempotency: undefined,
  }); // prettier-ignore
  return runId;
}

/** A run that its worker gave up with this error. */
async function die(
  error = "GraphNotLoaded",
  tenantId = "default",
): Promise<{ runId: string; threadId: string; tenantId: string }> {
  const threadId = randomUUID();
  const runId = await accept(threadId, tenantId);
  await claimRun(database.pool, runId, "test:1:x", 60, false);
  const outcome = error === "RunTimedOut" ? "timeout" : "error";
  await settleRun(database.pool, runId, 1, { outcome, error: { error, message: "m" } });
  return { runId, threadId, tenantId };
}

const replay = (runId: string, more: Partial<Parameters<typeof replayRun>[1]> = {}) =>
  replayRun(database.pool, { tenantId: "default", runId, retryId: randomUUID(), kwargs, answers: false, atRest: undefined, force: false, ...more }); // prettier-ignore

test("a run is a dead letter because it could not be executed, not because its graph threw", async () => {
  for (const [error, is] of [["GraphNotLoaded", true], ["ResultNotStored", true], ["RunTimedOut", true], ["TypeError", false]] as const) {
    const { runId } = await die(error);
    expect([error, (await getDeadLetter(database.pool, "default", runId)) !== undefined]).toEqual([error, is]);
  } // prettier-ignore
});

test("an attempt's chapter says when it was claimed, however often its lease was renewed since", async () => {
  const runId = await accept(randomUUID());
  await claimRun(database.pool, runId, "test:1:x", 60, false);
  const { rows } = await database.pool.query<{ now: Date }>("select clock_timestamp() as now");
  await database.pool.query("select pg_sleep(0.02)");
  await database.pool.query(RENEW_LEASES, [[runId], [1], 60]);
  await database.pool.query("update runs set cancel_reason = 'x' where run_id = $1", [runId]);
  await settleRun(database.pool, runId, 1, { outcome: "handed_over" });
  const { rows: after } = await database.pool.query("select story from runs where run_id = $1", [runId]);
  const [chapter] = after[0].story;
  expect(Date.parse(chapter.began)).toBeLessThanOrEqual(rows[0]?.now.getTime() ?? 0);
  expect(Date.parse(chapter.at)).toBeGreaterThan(Date.parse(chapter.began));
});

test("of the children of a run the newest lines are kept, and how each died", async () => {
  const { pool } = database;
  const runId = await accept(randomUUID());
  const death = (line: string) => ({ exitCode: null, signal: "SIGKILL", outOfMemory: true, lines: [line] });
  await noteChildDeath(pool, runId, 0, death("before its claim"));
  await failStart(pool, runId, 0, "it died");
  await pool.query("update runs set retry_at = null, available_at = now(), solo = true where run_id = $1", [runId]);
  await claimRun(pool, runId, "test:1:x", 60, true);
  await noteChildDeath(pool, runId, 0, death("first"));
  await noteChildDeath(pool, runId, 0, death("first, said again"));
  await settleRun(pool, runId, 1, { outcome: "error", error: { error: "PoisonRun", message: "m" } });
  await noteChildDeath(pool, randomUUID(), 0, death("of no run"));
  const dead = await getDeadLetter(pool, "default", runId);
  expect(dead?.deaths).toMatchObject([
    { attempt: 0, claimed: false, signal: "SIGKILL", out_of_memory: true, lines: [] },
    { attempt: 1, claimed: true, lines: ["first, said again"] },
  ]);
  await pool.query("delete from runs where run_id = $1", [runId]);
  expect((await pool.query("select 1 from child_deaths where run_id = $1", [runId])).rows).toEqual([]);
});

test("of two replays at once one is accepted; after it has failed, another", async () => {
  const { runId, threadId } = await die();
  const ids = [randomUUID(), randomUUID()] as const;
  const both = await Promise.all(ids.map((retryId) => replay(runId, { retryId })));
  const first = ids[both.findIndex(({ outcome }) => outcome === "created")] as string;
  expect(both.map(({ outcome }) => outcome).toSorted()).toEqual(["created", "retried"]);
  expect(both.find(({ outcome }) => outcome === "retried")).toMatchObject({ run_id: first, status: "pending" });
  expect(await getRun(database.pool, "default", threadId, first)).toMatchObject({ retry_of: runId, graph_id: "g" });
  await claimRun(database.pool, first, "test:1:x", 60, false);
  await settleRun(database.pool, first, 1, { outcome: "error", error: { error: "E", message: "m" } });
  expect(await replay(runId)).toMatchObject({ outcome: "created" });
  expect(await replay(runId, { force: true })).toMatchObject({ outcome: "created" });
});

test("a replay that needs its thread at rest is refused when that has moved", async () => {
  const { runId, threadId } = await die();
  const atRest = { latest: null };
  await accept(threadId);
  expect(await replay(runId, { atRest })).toEqual({ outcome: "moved" });
  await database.pool.query("delete from runs where thread_id = $1 and run_id <> $2", [threadId, runId]);
  expect(await replay(runId, { atRest: { latest: "x" } })).toEqual({ outcome: "moved" });
  expect(await replay(runId, { atRest })).toMatchObject({ outcome: "created" });
});

test("the answers that a run gave go along, and nothing of another tenant is replayed or acknowledged", async () => {
  const { runId, threadId } = await die("GraphNotLoaded", "acme");
  await database.pool.query(`update runs set resume_map = '{"i": "\\u0000"}' where run_id = $1`, [runId]);
  expect(await replay(runId)).toEqual({ outcome: "missing" });
  expect(await acknowledgeDeadLetter(database.pool, "default", runId)).toBe(false);
  expect(await replay(runId, { tenantId: "acme", answers: true })).toMatchObject({ outcome: "created" });
  const { rows } = await database.pool.query("select resume_map::text as map from runs where thread_id = $1", [
    threadId,
  ]);
  expect(rows.map(({ map }) => map)).toEqual([`{"i": "\\u0000"}`, `{"i": "\\u0000"}`]);
});

test("lists and counts read an index that holds dead letters only", async () => {
  const { pool } = database;
  await die();
  const client = await pool.connect();
  try {
    await client.query("set enable_seqscan = off");
    const plan = async (text: string) => JSON.stringify((await client.query(`explain (format json) ${text}`)).rows);
    const where = "is_dead_letter(status, error) and acknowledged_at is null";
    expect(
      await plan(`select 1 from runs where tenant_id = 'a' and ${where} order by ended_at desc, run_id desc limit 9`),
    ).toMatch(/runs_dead_letters/);
    expect(await plan(`select count(*) from runs where ${where}`)).toMatch(/runs_dead_letters/);
    await client.query("reset enable_seqscan");
  } finally {
    client.release();
  }
  const before = await countDeadLetters(pool);
  const { runId, tenantId } = await die("PoisonRun", "solo");
  const page = { order: "newest" as const, after: undefined, limit: 10 };
  expect(await listDeadLetters(pool, tenantId, {}, page)).toMatchObject([{ run_id: runId, retries: [] }]);
  expect(await acknowledgeDeadLetter(pool, tenantId, runId)).toBe(true);
  expect(await listDeadLetters(pool, tenantId, {}, page)).toEqual([]);
  expect(await countDeadLetters(pool)).toBe(before);
});
