import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { beforeAll, describe, expect, test } from "vitest";
import type { Client } from "langgraph-sdk-1";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";
import { SDKS } from "./sdk.ts";

// Runs by the Agent Server API, AGENT_SERVER_API sections 5 and 6, with the official clients and by plain HTTP.

let url: string;
let http: TestClient;
let pool: Pool;
beforeAll(async () => {
  const database = await createTestDatabase();
  ({ pool } = database);
  const { gateway } = await startStack({ databaseUrl: database.url, config: TEST_GRAPHS, workers: 2 });
  url = gateway.url;
  http = new TestClient(url);
});

const steps = (n: number, more = {}) => ({ inputs: ["in"], steps: n, ...more });
const unlimited = { recursion_limit: 10_000 };
const longRun = {
  assistant_id: "steps",
  input: steps(400, { delay_ms: 50 }),
  config: unlimited,
  if_not_exists: "create",
};
const statusOf = async (path: string) => (await http.get(path)).body.status as string;
const becomes = (path: string, status: string) =>
  eventually(
    async () => {
      expect(await statusOf(path)).toBe(status);
      return true;
    },
    { timeoutMs: 20_000, what: path },
  );

describe.each(SDKS)("SDK $version", ({ connect }) => {
  let client: Client;
  beforeAll(() => {
    client = connect(url);
  });

  test("a run in the background is made, polled, listed and joined", async () => {
    const thread = randomUUID();
    const created: { run_id: string }[] = [];
    const run = await client.runs.create(thread, "steps", {
      input: steps(3),
      ifNotExists: "create",
      metadata: { purpose: "test" },
      onRunCreated: (params) => created.push(params as { run_id: string }),
    });
    expect(run).toMatchObject({ thread_id: thread, status: "pending", multitask_strategy: "enqueue" });
    expect(run.assistant_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(created).toMatchObject([{ run_id: run.run_id, thread_id: thread }]);
    expect(await client.runs.join(thread, run.run_id)).toMatchObject({ log: [1, 2, 3], inputs: ["in"] });
    expect(await client.runs.get(thread, run.run_id)).toMatchObject({
      run_id: run.run_id,
      status: "success",
      metadata: { purpose: "test", created_by: "system" },
    });
    expect(await client.runs.list(thread)).toMatchObject([{ run_id: run.run_id }]);
    expect(await client.runs.list(thread, { status: "error" })).toEqual([]);
  });

  test("wait gives the final state; with a question, the state and the question", async () => {
    const thread = randomUUID();
    const options = { ifNotExists: "create" as const };
    expect(await client.runs.wait(randomUUID(), "steps", { input: steps(2), ...options })).toMatchObject({
      log: [1, 2],
    });
    const asked = await client.runs.wait(thread, "ask", { input: { question: "sure?" }, ...options });
    expect(asked).toMatchObject({ question: "sure?", __interrupt__: [{ value: { question: "sure?" } }] });
    const answered = await client.runs.wait(thread, "ask", { command: { resume: false } });
    expect(answered).toMatchObject({ answers: [{ got: false }] });
    expect(answered).not.toHaveProperty("__interrupt__");
  });

  test("wait raises what a graph failed with, and join returns it; the run is an answer, not a failure", async () => {
    const thread = randomUUID();
    const failing = { input: { fail: "boom" }, ifNotExists: "create" as const };
    await expect(client.runs.wait(thread, "echo", failing)).rejects.toThrow("TypeError: boom");
    const kept = await client.runs.wait(thread, "echo", { ...failing, raiseError: false });
    expect(kept).toEqual({ __error__: { error: "TypeError", message: "boom" } });
    const [run] = await client.runs.list(thread);
    expect(run).toMatchObject({ status: "error", error: { error: "TypeError", message: "boom" } });
    expect(await client.runs.join(thread, run?.run_id as string)).toEqual(kept);
  });

  test("several questions are answered by a map of their ids, and one answer for several is refused", async () => {
    const thread = randomUUID();
    const asked = (await client.runs.wait(thread, "ask_both", {
      input: { question: "?" },
      ifNotExists: "create",
    })) as unknown as {
      __interrupt__: { id: string; value: { question: string } }[];
    };
    expect(asked.__interrupt__).toHaveLength(2);
    await expect(client.runs.wait(thread, "ask_both", { command: { resume: "one" } })).rejects.toThrow("422");
    const answers = Object.fromEntries(asked.__interrupt__.map((one) => [one.id, `for ${one.value.question}`]));
    const answered = (await client.runs.wait(thread, "ask_both", { command: { resume: answers } })) as {
      answers: unknown[];
    };
    expect(answered.answers).toHaveLength(2);
  });

  test("a run without a thread is waited for, streamed or left to itself, and leaves no thread behind", async () => {
    expect(await client.runs.wait(null, "steps", { input: steps(2) })).toMatchObject({ log: [1, 2] });
    const events: string[] = [];
    for await (const { event } of client.runs.stream(null, "steps", { input: steps(2), streamMode: "updates" }))
      events.push(event);
    expect(events).toEqual(["metadata", "updates", "updates", ...(events.includes("end") ? ["end"] : [])]);
    const run = await client.runs.create(null, "steps", { input: steps(2) });
    const joined: string[] = [];
    for await (const { event } of client.runs.joinStream(null, run.run_id, { lastEventId: "-1" })) joined.push(event);
    expect(joined.slice(0, 2)).toEqual(["metadata", "values"]);
    await becomes(`/threads/${run.thread_id}/runs/${run.run_id}`, "success");
  });

  test("a batch is accepted whole, in its order", async () => {
    const runs = await client.runs.createBatch([
      { assistantId: "steps", input: steps(1) },
      { assistantId: "echo", input: { text: "x" } },
    ] as never);
    expect(runs.map((run) => run.status)).toEqual(["pending", "pending"]);
    expect(new Set(runs.map((run) => run.thread_id)).size).toBe(2);
    const refused = await http.post("/runs/batch", [{ assistant_id: "steps" }, { assistant_id: "no_such" }]);
    expect(refused.status).toBe(404);
  });

  test("of a batch whose second run is refused, the first is not there either", async () => {
    const body = [1, 2].map((n) => ({ assistant_id: "steps", input: steps(n), metadata: { batch: "whole" } }));
    const key = { "idempotency-key": randomUUID() };
    expect((await http.post("/runs/batch", body, key)).status).toBe(200);
    // As if the key of the second part alone had come with another request.
    await pool.query("delete from idempotency_keys where key like '0 %'");
    await pool.query("update idempotency_keys set request_hash = 'other' where key like '1 %'");
    const count = async () =>
      (await pool.query("select count(*)::int as n from runs where metadata @> $1", [{ batch: "whole" }])).rows[0].n;
    const before = await count();
    expect(await http.post("/runs/batch", body, key)).toMatchObject({
      status: 422,
      body: { code: "idempotency_key_reused" },
    });
    expect(await count()).toBe(before);
    expect((await pool.query("select 1 from idempotency_keys where key like '0 %'")).rows).toEqual([]);
  });

  test("a running run is cancelled, waited for, and deleted", async () => {
    const thread = randomUUID();
    const run = await client.runs.create(thread, "steps", {
      input: longRun.input,
      config: unlimited,
      ifNotExists: "create",
    });
    const path = `/threads/${thread}/runs/${run.run_id}`;
    await becomes(path, "running");
    expect((await http.delete(path)).status).toBe(409);
    await client.runs.cancel(thread, run.run_id, true);
    expect(await client.runs.get(thread, run.run_id)).toMatchObject({ status: "interrupted" });
    await client.runs.delete(thread, run.run_id);
    expect((await http.get(path)).status).toBe(404);
    expect((await http.delete(path)).status).toBe(404);
  });

  test("a stream that is joined again after an event goes on after it", async () => {
    const thread = randomUUID();
    const run = await client.runs.create(thread, "steps", {
      input: steps(5),
      ifNotExists: "create",
      streamMode: "updates",
      streamResumable: true,
    });
    const all: { id?: string | undefined; event: string; data: unknown }[] = [];
    for await (const part of client.runs.joinStream(thread, run.run_id, { lastEventId: "-1" })) all.push(part);
    const updates = all.filter(({ event }) => event === "updates");
    expect(updates).toHaveLength(5);
    const after = updates[2]?.id as string;
    const rest: typeof all = [];
    for await (const part of client.runs.joinStream(thread, run.run_id, { lastEventId: after })) rest.push(part);
    expect(rest.filter(({ event }) => event === "updates")).toEqual(updates.slice(3));
    const filtered: string[] = [];
    for await (const { event } of client.runs.joinStream(thread, run.run_id, {
      lastEventId: "-1",
      streamMode: ["values"],
    }))
      filtered.push(event);
    expect(filtered).not.toContain("updates");
  });
});

describe("creating", () => {
  test("says where the run is before the body, and nothing follows the run's id", async () => {
    const thread = randomUUID();
    const body = { assistant_id: "steps", input: steps(1), if_not_exists: "create" };
    const created = await http.post(`/threads/${thread}/runs`, body);
    const path = `/threads/${thread}/runs/${created.body.run_id}`;
    expect(created.headers.get("content-location")).toBe(path);
    const waited = await http.post(`/threads/${thread}/runs/wait`, body);
    expect(waited.headers.get("content-location")).toMatch(new RegExp(`^/threads/${thread}/runs/[0-9a-f-]{36}$`));
    expect(waited.headers.get("location")).toBe(`${waited.headers.get("content-location")}/join`);
    const stream = await http.open("POST", `/threads/${thread}/runs/stream`, body);
    expect(stream.headers.get("location")).toBe(`${stream.runPath}/stream`);
    await stream.rest();
    const alone = await http.post("/runs/wait", { assistant_id: "steps", input: steps(1) });
    expect(alone.headers.get("content-location")).toMatch(/^\/runs\/[0-9a-f-]{36}$/);
  });

  test("a missing thread is 404 unless it is to be made; what is refused leaves nothing behind", async () => {
    const thread = randomUUID();
    const body = { assistant_id: "steps", input: steps(1) };
    for (const path of ["runs", "runs/wait", "runs/stream"])
      expect(await http.post(`/threads/${thread}/${path}`, body)).toMatchObject({ status: 404 });
    expect(await http.get(`/threads/${thread}/runs`)).toMatchObject({ status: 404 });
    expect(await http.post(`/threads/${thread}/runs`, { ...body, if_not_exists: "create" })).toMatchObject({
      status: 200,
    });
  });

  test.each([
    ["no assistant", {}, 422],
    ["an unknown assistant", { assistant_id: "no_such" }, 404],
    ["an unknown assistant's id", { assistant_id: randomUUID() }, 404],
    ["an unknown mode", { assistant_id: "steps", stream_mode: "nonsense" }, 422],
    ["a strategy that there is not", { assistant_id: "steps", multitask_strategy: "maybe" }, 422],
    ["a delay that is negative", { assistant_id: "steps", after_seconds: -1 }, 422],
    ["a recursion limit of 0", { assistant_id: "steps", config: { recursion_limit: 0 } }, 422],
    ["metadata that is a list", { assistant_id: "steps", metadata: [1] }, 422],
  ])("%s is refused", async (_what, body, status) => {
    const answer = await http.post(`/threads/${randomUUID()}/runs`, { if_not_exists: "create", ...body });
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ detail: expect.any(String), code: expect.any(String) });
  });

  test("unknown fields and nulls are ignored; an empty list of modes is values", async () => {
    const body = {
      assistant_id: "steps",
      input: steps(1),
      if_not_exists: "create",
      some_day: { new: true },
      metadata: null,
      config: null,
      context: null,
      webhook: null,
      checkpoint: null,
      stream_mode: [],
      multitask_strategy: null,
    };
    const { status, body: run } = await http.post(`/threads/${randomUUID()}/runs`, body);
    expect(status).toBe(200);
    expect(run.kwargs).toMatchObject({ stream_mode: ["values"], resumable: false, subgraphs: false });
    expect(run.metadata).toEqual({ created_by: "system" });
  });

  test("a delayed run waits, counts as in flight, and starts by itself", async () => {
    const thread = randomUUID();
    const body = { assistant_id: "steps", input: steps(1), if_not_exists: "create" };
    const delayed = await http.post(`/threads/${thread}/runs`, { ...body, after_seconds: 1 });
    expect(delayed.body.status).toBe("pending");
    expect(await http.post(`/threads/${thread}/runs`, { ...body, multitask_strategy: "reject" })).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining("already running a task") },
    });
    await becomes(`/threads/${thread}/runs/${delayed.body.run_id}`, "success");
    const run = (await http.get(`/threads/${thread}/runs/${delayed.body.run_id}`)).body;
    expect(Date.parse(run.started_at) - Date.parse(run.created_at)).toBeGreaterThanOrEqual(1_000);
  });

  test("metadata of assistant, thread and run are merged, the run's last", async () => {
    const thread = randomUUID();
    const body = { assistant_id: "steps", input: steps(1), if_not_exists: "create" };
    await http.post(`/threads/${thread}/runs/wait`, { ...body, metadata: { a: 1, b: 1 } });
    const second = await http.post(`/threads/${thread}/runs`, { ...body, metadata: { b: 2, c: { d: [1] } } });
    expect(second.body.metadata).toMatchObject({ a: 1, b: 2, c: { d: [1] }, graph_id: "steps", created_by: "system" });
    const filtered = await http.get(`/threads/${thread}/runs?metadata=${encodeURIComponent('{"c":{"d":[1]}}')}`);
    expect(filtered.body).toHaveLength(1);
  });
});

test("a node sees the caller's configurable under the server's keys, and what a tracer is to be told", async () => {
  const run = await http.post("/runs/wait", {
    assistant_id: "echo",
    input: { value: 1 },
    config: { configurable: { mine: 0, thread_id: "theirs", langgraph_auth_user: { identity: "root" }, __x: 1 } },
    langsmith_tracer: { project_name: "p", example_id: "e" },
  });
  const { configurable } = run.body.seen as { configurable: Record<string, unknown> };
  expect(configurable).toMatchObject({ mine: 0, graph_id: "echo", langsmith_project: "p", langsmith_example_id: "e" });
  expect(configurable["assistant_id"]).toMatch(/^[0-9a-f-]{36}$/);
  expect(configurable["thread_id"]).not.toBe("theirs");
  expect(Object.keys(configurable).filter((key) => /^__|^langgraph_auth/.test(key))).toEqual([]);
});

describe("double texting", () => {
  const start = async (thread: string) => {
    const { body: run } = await http.post(`/threads/${thread}/runs`, longRun);
    await becomes(`/threads/${thread}/runs/${run.run_id}`, "running");
    return `/threads/${thread}/runs/${run.run_id as string}`;
  };
  const next = { assistant_id: "steps", input: steps(1) };

  test("interrupt stops the run in flight, keeps what it did, and the new one goes on from there", async () => {
    const thread = randomUUID();
    const first = await start(thread);
    const after = await http.post(`/threads/${thread}/runs/wait`, {
      ...next,
      input: steps(1_000_000, { steps: 1, delay_ms: 0 }),
      multitask_strategy: "interrupt",
    });
    expect(await statusOf(first)).toBe("interrupted");
    expect(after.body.inputs).toEqual(["in", "in"]);
  });

  test("rollback erases the run in flight, and the new one starts from before it", async () => {
    const thread = randomUUID();
    const first = await start(thread);
    const after = await http.post(`/threads/${thread}/runs/wait`, { ...next, multitask_strategy: "rollback" });
    expect((await http.get(first)).status).toBe(404);
    expect(after.body).toMatchObject({ inputs: ["in"], log: [1] });
  });

  test("enqueue waits for the run in flight", async () => {
    const thread = randomUUID();
    const first = await start(thread);
    const queued = await http.post(`/threads/${thread}/runs`, next);
    expect(await statusOf(`/threads/${thread}/runs/${queued.body.run_id}`)).toBe("pending");
    await http.post(`${first}/cancel?wait=1`);
    await becomes(`/threads/${thread}/runs/${queued.body.run_id}`, "success");
  });

  test("twenty messages at once on a thread are all answered, one after the other", async () => {
    const thread = randomUUID();
    const body = { assistant_id: "steps", input: steps(1), if_not_exists: "create" };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => http.post(`/threads/${thread}/runs/wait`, body)),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    const { body: runs } = await http.get(`/threads/${thread}/runs?limit=100`);
    expect(runs.map((run: { status: string }) => run.status)).toEqual(Array(20).fill("success"));
    const times = runs
      .map((run: { started_at: string; ended_at: string }) => [run.started_at, run.ended_at])
      .toReversed();
    for (let i = 1; i < times.length; i++)
      expect(times[i][0] >= times[i - 1][1], "runs of a thread never overlap").toBe(true);
  });
});

describe("cancelling many", () => {
  test("by thread and ids, by status, and 404 when there is none", async () => {
    const thread = randomUUID();
    const { body: one } = await http.post(`/threads/${thread}/runs`, longRun);
    const { body: two } = await http.post(`/threads/${thread}/runs`, longRun);
    const many = await http.post("/runs/cancel", { thread_id: thread, run_ids: [two.run_id, randomUUID()] });
    expect(many.status).toBe(204);
    expect(await statusOf(`/threads/${thread}/runs/${two.run_id}`)).toBe("interrupted");
    expect((await http.post("/runs/cancel?action=rollback", { status: "all" })).status).toBe(204);
    await eventually(async () => (await http.get(`/threads/${thread}/runs/${one.run_id}`)).status === 404);
    expect((await http.post("/runs/cancel", { thread_id: thread, run_ids: [randomUUID()] })).status).toBe(404);
    expect((await http.post("/runs/cancel", {})).status).toBe(422);
  });
});

describe("a client that goes away", () => {
  test.each([
    ["cancel", "interrupted"],
    ["continue", "success"],
  ])("with on_disconnect %s leaves its run %s", async (onDisconnect, status) => {
    const thread = randomUUID();
    const input = onDisconnect === "cancel" ? longRun.input : steps(10, { delay_ms: 30 });
    const stream = await http.open("POST", `/threads/${thread}/runs/stream`, {
      ...longRun,
      input,
      on_disconnect: onDisconnect,
    });
    await stream.until(({ event }) => event === "values");
    stream.close();
    await becomes(stream.runPath, status);
    expect(await statusOf(stream.runPath)).toBe(status);
  });
});

test("the thread of a run without one is erased with everything once its stream is not kept any more", async () => {
  const { body: run } = await http.post("/runs", { assistant_id: "steps", input: steps(1) });
  const path = `/threads/${run.thread_id}/runs/${run.run_id}`;
  await becomes(path, "success");
  await pool.query("update threads set updated_at = now() - interval '16 min' where thread_id = $1", [run.thread_id]);
  await eventually(async () => (await http.get(path)).status === 404, {
    timeoutMs: 25_000,
    what: "the thread to be gone",
  });
  expect((await http.events("GET", `/runs/${run.run_id}/stream`)).map(({ event }) => event)).toEqual([]);
  const { rows } = await pool.query("select 1 from checkpoints where thread_id = $1", [run.thread_id]);
  expect(rows).toEqual([]);
});

test("a thread that is to be kept stays after its run", async () => {
  const { body: run } = await http.post("/runs", { assistant_id: "steps", input: steps(1), on_completion: "keep" });
  await becomes(`/threads/${run.thread_id}/runs/${run.run_id}`, "success");
  const { rows } = await pool.query("select temporary from threads where thread_id = $1", [run.thread_id]);
  expect(rows).toEqual([{ temporary: false }]);
});

test("a deletion takes the assistant's runs, those in flight are stopped, and their threads go on with another", async () => {
  const { assistant_id } = (await http.post("/assistants", { graph_id: "ask" })).body;
  const { body: other } = await http.post("/runs", { assistant_id: "ask", input: {}, on_completion: "keep" });
  const thread = randomUUID();
  const asked = { assistant_id, input: { question: "q" }, if_not_exists: "create" };
  expect((await http.post(`/threads/${thread}/runs/wait`, asked)).body.__interrupt__).toHaveLength(1);
  const busy = randomUUID();
  const delayed = { ...asked, after_seconds: 600 };
  const { body: waiting } = await http.post(`/threads/${busy}/runs`, delayed);
  expect((await http.delete(`/assistants/${assistant_id}`)).status).toBe(204);
  expect((await http.get(`/threads/${thread}/runs`)).body).toEqual([]);
  expect((await http.get(`/threads/${busy}/runs/${waiting.run_id}`)).status).toBe(404);
  expect((await http.get(`/threads/${busy}`)).body.status).toBe("idle");
  expect((await http.get(`/threads/${other.thread_id}/runs/${other.run_id}`)).status).toBe(200);
  expect((await http.get(`/threads/${thread}`)).body.status).toBe("interrupted");
  const answer = { assistant_id: "ask", command: { resume: "yes" } };
  expect((await http.post(`/threads/${thread}/runs/wait`, answer)).body.answers).toEqual([{ got: "yes" }]);
});
