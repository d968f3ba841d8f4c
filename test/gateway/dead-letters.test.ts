import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { generateKey } from "@flotilla/shared/access/api-key";
import { insertApiKey } from "@flotilla/shared/access/api-key-queries";
import { listEndedTemporaryThreads } from "@flotilla/shared/threads/thread-queries";
import { readEffects } from "../failure/support/effects.ts";
import { DOOMED } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { Stack, type StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

const folder = mkdtempSync(join(tmpdir(), "flotilla-dead-"));
const doom = join(folder, "doom");
const effectsLog = join(folder, "effects.jsonl");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let database: TestDatabase;
let gateway: StackProcess;
let anna: TestClient;
let bo: TestClient;

/** Dead letters of anna, each on a thread of its own. */
const names = ["lost_twice", "from_start", "moved_on", "asked", "stateless"] as const;
const dead = {} as Record<(typeof names)[number], { run_id: string; thread_id: string }>;

async function makeKey(tenantId: string): Promise<{ authorization: string }> {
  const { key, prefix, hash } = generateKey();
  await insertApiKey(database.pool, { keyId: randomUUID(), tenantId, name: tenantId, prefix, hash });
  return { authorization: `Bearer ${key}` };
}

// As if each run had lost all its workers but one, or two: a loss counts as one alone, and nothing that is stored counts.
const HASTE = `
  create function make_haste() returns trigger language plpgsql as $$
  begin
    if tg_op = 'INSERT' then
      new.losses := 4; new.solo := new.metadata ? 'lost_twice'; new.solo_losses := case when new.solo then 1 else 2 end;
    else
      new.solo := new.solo or new.status = 'running'; new.claimed_seq := 1000000000; new.retry_at := null;
    end if;
    return new;
  end $$;
  create trigger make_haste before insert or update on runs for each row execute function make_haste()`;

const call = (threadId: string, input: string, metadata = {}) => ({
  thread_id: threadId,
  input: { inputs: [input] },
  metadata,
});
const submit = async (path: string, body: unknown) =>
  (await anna.post(path, body)).body as { run_id: string; thread_id: string };
const ended = async ({ run_id, thread_id }: { run_id: string; thread_id: string }, status: string) =>
  eventually(
    async () => {
      const { body } = await anna.get(`/threads/${thread_id}/runs/${run_id}`);
      return body.status === status && body;
    },
    { timeoutMs: 90_000, everyMs: 100, what: `${status} of a run` },
  );
const stateOf = async (threadId: string) => (await anna.get(`/threads/${threadId}/state`)).body;

beforeAll(async () => {
  database = await createTestDatabase();
  const keys = [await makeKey("anna"), await makeKey("bo")]; // before the gateway starts: it would be open for a while
  const env = { DOOM: doom, EFFECTS_LOG: effectsLog, LEASE_SECS: "2", ACME_API_KEY: "not-for-your-eyes" };
  const stack = new Stack({ databaseUrl: database.url, config: DOOMED, env });
  const [started, worker] = await Promise.all([stack.startGateway(), stack.startWorker()]);
  gateway = started;
  anna = new TestClient(gateway.url, keys[0]);
  bo = new TestClient(gateway.url, keys[1]);
  await anna.post("/graphs/doomed/invoke?wait=30", call("moved_on", "before"));
  await anna.post("/graphs/asking/invoke?wait=30", call("asked", "in"));

  writeFileSync(doom, "");
  await database.pool.query(HASTE);
  for (const name of ["from_start", "moved_on"] as const)
    dead[name] = await submit("/graphs/doomed/invoke", call(name, "mine"));
  dead.asked = await submit("/graphs/asking/resume", { thread_id: "asked", resume_data: "yes" });
  dead.stateless = await submit("/runs", { assistant_id: "doomed", input: { inputs: ["mine"] } });
  const falling = () =>
    readEffects(effectsLog).filter(
      ({ run, node }) => node === "fall" && Object.values(dead).some(({ run_id }) => run_id === run),
    );
  await eventually(() => falling().length === 4, { timeoutMs: 60_000, what: "four runs that hang" });
  await worker.kill();
  await stack.startWorker();
  dead.lost_twice = await submit("/graphs/doomed/invoke", call("lost_twice", "mine", { lost_twice: true }));
  await Promise.all(names.map((name) => ended(dead[name], "error")));
  await database.pool.query("drop trigger make_haste on runs");
}, 180_000);

test("dead letters are listed newest first, page by page, by graph, error and time, and counted", async () => {
  const { body: all } = await anna.get("/dead-letters");
  expect(all.next).toBeNull();
  const ids = all.dead_letters.map((letter: { run_id: string }) => letter.run_id);
  expect(ids.toSorted()).toEqual(names.map((name) => dead[name].run_id).toSorted());
  const times = all.dead_letters.map((letter: { ended_at: string }) => letter.ended_at);
  expect(times).toEqual(times.toSorted().toReversed());
  expect(all.dead_letters[0]).toMatchObject({ status: "error", error: { error: "PoisonRun" }, retries: [] });

  const paged: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const { body } = await anna.get(`/dead-letters?limit=3${cursor && `&cursor=${cursor}`}`);
    paged.push(...body.dead_letters.map((letter: { run_id: string }) => letter.run_id));
    cursor = body.next;
  }
  expect(paged).toEqual(ids);

  const found = async (query: Record<string, string>) =>
    (await anna.get(`/dead-letters?${new URLSearchParams(query).toString()}`)).body.dead_letters.map(
      (one: { run_id: string }) => one.run_id,
    );
  expect(await found({ graph_id: "asking" })).toEqual([dead.asked.run_id]);
  expect(await found({ error: "PoisonRun" })).toHaveLength(5);
  expect(await found({ error: "RunTimedOut" })).toEqual([]);
  expect(await found({ since: times[0], until: times[0] })).toEqual([ids[0]]); // milliseconds of a time that has microseconds
  expect(await found({ since: "2020-01-01T00:00:00+02:00", until: times[1] })).toEqual(ids.slice(1));
  const metrics = await anna.get("/metrics");
  expect(metrics.body).toMatch(/^flotilla_dead_letter 5$/m);
});

test("a dead letter tells its attempts, how their processes died and what these printed last, without secrets", async () => {
  const { run_id, thread_id } = dead.lost_twice;
  const { body } = await anna.get(`/dead-letters/${run_id}`);
  expect(body).toMatchObject({
    run_id,
    thread_id,
    graph_id: "doomed",
    error: { error: "PoisonRun", message: expect.stringContaining("lost its worker") },
    base_checkpoint_id: null,
    kwargs: { input: { inputs: ["mine"] } },
    thread: { thread_id, status: "error", temporary: false },
    assistant: { graph_id: "doomed" },
    acknowledged_at: null,
    log: { attempt: 2 },
  });
  const { body: state } = await anna.get(`/threads/${thread_id}/state`);
  expect(body.checkpoint_id).toBe(state.checkpoint.checkpoint_id);
  const died = { exit_code: null, signal: "SIGKILL", out_of_memory: false };
  const lost = { ended: "lost", reason: "the lease ran out", checkpoint_id: body.checkpoint_id, process: died };
  expect(body.attempts).toMatchObject([
    { attempt: 1, ...lost },
    { attempt: 2, ...lost },
  ]);
  for (const { worker, began_at, ended_at } of body.attempts) {
    expect(worker).toMatch(/:\d+:[0-9a-f]{8}$/);
    expect(Date.parse(ended_at) - Date.parse(began_at)).toBeGreaterThanOrEqual(2_000); // a lease
  }
  expect(Date.parse(body.attempts[1].began_at)).toBeGreaterThan(Date.parse(body.attempts[0].ended_at));
  expect(body.log.lines).toContain("to stdout: about to fall");
  expect(body.log.lines).toContain("to stderr: the database is [redacted]");
  expect(JSON.stringify(body)).not.toContain(database.url);
  expect(JSON.stringify(body.kwargs)).not.toContain("listening");
});

test("another tenant sees nothing of them", async () => {
  const path = `/dead-letters/${dead.lost_twice.run_id}`;
  expect((await bo.get("/dead-letters")).body).toEqual({ dead_letters: [], next: null });
  expect(await bo.get(path)).toMatchObject({ status: 404, body: { code: "dead_letter_not_found" } });
  expect((await bo.post(`${path}/replay`, { from: "start" })).status).toBe(404);
  expect((await bo.delete(path)).status).toBe(404);
  const many = await bo.post("/dead-letters/replay", { from: "start", filter: { run_ids: [dead.lost_twice.run_id] } });
  expect(many.body).toMatchObject({ replayed: [], refused: [{ code: "dead_letter_not_found" }], next: null });
  expect((await anna.get("/dead-letters")).body.dead_letters).toHaveLength(5);
});

test.each([
  "limit=0", "limit=101", "since=yesterday", "since=0000-01-01T00:00:00Z", "until=2026-13-01T00:00:00Z", "graph_id=a%00b", "error=",
  "error=%00", "cursor=", "cursor=1", "cursor=1_2", `cursor=99999999999999999_${randomUUID()}`, `cursor=1_${randomUUID()}'--`,
])("GET /dead-letters?%s is 422", async (query) => {
  expect((await anna.get(`/dead-letters?${query}`)).status).toBe(422);
}); // prettier-ignore

test("a replay says from where, and a filter is not left out", async () => {
  const path = `/dead-letters/${dead.lost_twice.run_id}/replay`;
  for (const body of [{}, { from: "end" }, { from: "start", force: "yes" }])
    expect((await anna.post(path, body)).status).toBe(422);
  for (const body of [
    { from: "start" },
    { from: "start", filter: { since: "x" } },
    { from: "start", filter: {}, limit: 101 },
    { from: "start", filter: { run_ids: ["x"] } },
    { from: "start", filter: {}, cursor: "x" },
  ])
    expect((await anna.post("/dead-letters/replay", body)).status).toBe(422);
  expect((await anna.post("/dead-letters/x/replay", { from: "start" })).status).toBe(422);
  const cursor = `9999999999999999_${"f".repeat(8)}-ffff-ffff-ffff-${"f".repeat(12)}`;
  expect((await anna.get(`/dead-letters?cursor=${cursor}`)).body.dead_letters).toHaveLength(5);
});

test("from the checkpoint a new run goes on with what is left; while it is in flight or has succeeded, others are refused", async () => {
  const { run_id, thread_id } = dead.lost_twice;
  const path = `/dead-letters/${run_id}/replay`;
  rmSync(doom);
  const answer = await anna.post(path, { from: "checkpoint" });
  expect(answer).toMatchObject({ status: 202, body: { thread_id, status: "pending", retry_of: run_id } });
  const retry = answer.body as { run_id: string; thread_id: string };
  expect(answer.headers.get("location")).toBe(`/threads/${thread_id}/runs/${retry.run_id}`);
  const second = await anna.post(path, { from: "checkpoint" });
  expect(second).toMatchObject({ status: 409, body: { code: "already_replayed" } });
  expect(second.body.detail).toContain(retry.run_id);
  const run = await ended(retry, "success");
  expect(run).toMatchObject({ retry_of: run_id });
  expect(run.kwargs).not.toHaveProperty("replay");

  // The step that was stored is not taken again.
  expect((await stateOf(thread_id)).values).toEqual({ inputs: ["mine"], log: ["walked", "fell"] });
  expect(readEffects(effectsLog, retry.run_id).map(({ node }) => node)).toEqual(["fall"]);
  expect((await anna.post(path, { from: "checkpoint" })).body).toMatchObject({ code: "already_replayed" });
  expect((await anna.post(path, { from: "checkpoint", force: true })).body).toMatchObject({ code: "thread_moved_on" });
  const forced = await anna.post(path, { from: "start", force: true });
  await ended(forced.body, "success");
  const { body: old } = await anna.get(`/dead-letters/${run_id}`);
  expect(old).toMatchObject({
    status: "error",
    retries: [{ run_id: retry.run_id, status: "success" }, { status: "success" }],
  });
  expect((await anna.get(`/threads/${thread_id}/runs/${run_id}`)).body).toMatchObject({ status: "error", attempt: 2 });
});

test("from the start of an empty thread everything is done again, once", async () => {
  const { run_id, thread_id } = dead.from_start;
  const { body: retry } = await anna.post(`/dead-letters/${run_id}/replay`, { from: "start" });
  await ended(retry, "success");
  expect((await stateOf(thread_id)).values).toEqual({ inputs: ["mine"], log: ["walked", "fell"] });
  expect(readEffects(effectsLog, retry.run_id).map(({ node }) => node)).toEqual(["walk", "fall"]);
  const { body: history } = await anna.get(`/threads/${thread_id}/history?limit=100`);
  const own = history.filter((state: { metadata: { run_id: string } }) => state.metadata.run_id === retry.run_id);
  expect(own.at(-1)).toMatchObject({ metadata: { source: "input" }, parent_checkpoint: null });
});

test("from the start of a thread that has moved on, it is forked where the run began", async () => {
  const { run_id, thread_id } = dead.moved_on;
  const path = `/dead-letters/${run_id}/replay`;
  await anna.post("/graphs/doomed/invoke?wait=30", call(thread_id, "after"));
  const refused = await anna.post(path, { from: "checkpoint" });
  expect(refused).toMatchObject({ status: 409, body: { code: "thread_moved_on" } });
  const { body: retry } = await anna.post(path, { from: "start" });
  await ended(retry, "success");
  expect((await stateOf(thread_id)).values).toEqual({
    inputs: ["before", "mine"],
    log: ["walked", "fell", "walked", "fell"],
  });
});

test("an answer that was not taken is given again", async () => {
  const { run_id, thread_id } = dead.asked;
  const path = `/dead-letters/${run_id}/replay`;
  expect((await anna.post(path, { from: "checkpoint" })).body).toMatchObject({ code: "no_checkpoint" });
  const { body: retry } = await anna.post(path, { from: "start" });
  await ended(retry, "success");
  expect((await stateOf(thread_id)).values).toEqual({ inputs: ["in"], log: ["yes", "fell"] });
});

/** As if the run's end had never been written, again and again. */
async function forget(runId: string): Promise<void> {
  const error = { error: "ResultNotStored", message: "as a test would have it" };
  await database.pool.query("update runs set status = 'error', error = $2 where run_id = $1", [runId, error]);
}

test("what had come to its end, or to a breakpoint, is only settled by a replay from the checkpoint", async () => {
  for (const [threadId, more, status] of [
    ["at_end", {}, "idle"],
    ["at_end_exit", { durability: "exit" }, "idle"],
    ["at_breakpoint", { interrupt_before: ["fall"] }, "interrupted"],
  ] as const) {
    const { body: run } = await anna.post("/graphs/doomed/invoke?wait=30", { ...call(threadId, "in"), ...more });
    const { values } = await stateOf(threadId);
    await forget(run.run_id);
    const { body: retry } = await anna.post(`/dead-letters/${run.run_id}/replay`, { from: "checkpoint" });
    await ended(retry, "success");
    expect(readEffects(effectsLog, retry.run_id)).toEqual([]);
    expect((await stateOf(threadId)).values).toEqual(values);
    expect((await anna.get(`/threads/${threadId}`)).body).toMatchObject({ status, values });
    await anna.delete(`/dead-letters/${run.run_id}`);
  }
});

test("behind a run in flight nothing goes on from a checkpoint, and a start is a fork", async () => {
  const { body: run } = await anna.post("/graphs/doomed/invoke?wait=30", call("busy", "in"));
  await forget(run.run_id);
  await anna.post("/threads/busy/runs", { assistant_id: "doomed", input: null, after_seconds: 3_600 });
  const path = `/dead-letters/${run.run_id}/replay`;
  expect((await anna.post(path, { from: "checkpoint" })).body).toMatchObject({ code: "thread_busy" });
  const { body: retry } = await anna.post(path, { from: "start" });
  await ended(retry, "success");
  expect((await stateOf("busy")).values).toEqual({ inputs: ["in"], log: ["walked", "fell"] });
  await anna.delete(`/dead-letters/${run.run_id}`);
});

test("many are replayed by filter, in parts, each accepted or refused by itself", async () => {
  const accepted: string[] = [];
  const refused: Record<string, string> = {};
  for (let cursor: string | null | undefined; cursor !== null;) {
    const answer = await anna.post("/dead-letters/replay", {
      from: "start",
      filter: { graph_id: "doomed" },
      limit: 2,
      cursor,
    });
    expect(answer.status).toBe(200);
    for (const made of answer.body.replayed) accepted.push(made.retry_of);
    for (const one of answer.body.refused) refused[one.run_id] = one.code;
    for (const made of answer.body.replayed) await ended(made, "success");
    cursor = answer.body.next;
  }
  expect(accepted).toEqual([dead.stateless.run_id]);
  const replayed = ["lost_twice", "from_start", "moved_on"] as const;
  expect(refused).toEqual(Object.fromEntries(replayed.map((name) => [dead[name].run_id, "already_replayed"])));

  const [nobody, runIds] = [randomUUID(), [dead.lost_twice.run_id, dead.from_start.run_id]];
  const again = { from: "start", force: true, filter: { run_ids: [...runIds, nobody] } };
  const { body } = await anna.post("/dead-letters/replay", again);
  expect(body).toMatchObject({ refused: [{ run_id: nobody, code: "dead_letter_not_found" }], next: null });
  expect(body.replayed.map((made: { retry_of: string }) => made.retry_of).toSorted()).toEqual(runIds.toSorted());
  for (const made of body.replayed) await ended(made, "success");
});

test("the thread of a run without one is kept for its dead letter, until that is acknowledged or old", async () => {
  const { run_id, thread_id } = dead.stateless;
  const { pool } = database;
  await pool.query("update threads set updated_at = now() - interval '1 day' where thread_id = $1", [thread_id]);
  const isErased = async (keptDays: number) =>
    (await listEndedTemporaryThreads(pool, 900, keptDays * 86_400, 100)).some(
      (thread) => thread.thread_id === thread_id,
    );
  expect(await isErased(7)).toBe(false);
  expect(await isErased(0)).toBe(true);
  expect((await anna.delete(`/dead-letters/${run_id}`)).status).toBe(204);
  expect((await anna.delete(`/dead-letters/${run_id}`)).status).toBe(204);
  expect((await anna.get("/dead-letters")).body.dead_letters).toHaveLength(4);
  expect((await anna.get("/metrics")).body).toMatch(/^flotilla_dead_letter 4$/m);
  expect(await isErased(7)).toBe(true);
});
