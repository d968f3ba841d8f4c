import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import type { Client } from "langgraph-sdk-1";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";
import { SDKS } from "./sdk.ts";

// Threads and their state by the Agent Server API, AGENT_SERVER_API section 4.

let url: string;
let http: TestClient;
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  const { gateway } = await startStack({ databaseUrl: database.url, config: TEST_GRAPHS, workers: 1 });
  url = gateway.url;
  http = new TestClient(url);
});

const steps = (n: number, more = {}) => ({ inputs: ["in"], steps: n, ...more });
const EMPTY = {
  values: {},
  next: [],
  tasks: [],
  interrupts: [],
  created_at: null,
  checkpoint: null,
  parent_checkpoint: null,
};

describe.each(SDKS)("SDK $version", ({ version, connect }) => {
  let client: Client;
  beforeAll(() => {
    client = connect(url);
  });

  test("a thread is made, read, changed and erased", async () => {
    const threadId = randomUUID();
    const made = await client.threads.create({ threadId, metadata: { owner: "me", nested: { a: 1 } } });
    expect(made).toMatchObject({
      thread_id: threadId,
      status: "idle",
      values: null,
      interrupts: {},
      metadata: { owner: "me" },
    });
    await expect(client.threads.create({ threadId })).rejects.toThrow("409");
    expect(await client.threads.create({ threadId, ifExists: "do_nothing" })).toEqual(
      await client.threads.get(threadId),
    );
    const changed = await client.threads.update(threadId, { metadata: { owner: "you", more: [1] } });
    expect(changed.metadata).toEqual({ owner: "you", nested: { a: 1 }, more: [1] });
    expect(await client.threads.getState(threadId)).toMatchObject(EMPTY);
    expect(await client.threads.getHistory(threadId)).toEqual([]);
    await client.threads.delete(threadId);
    await expect(client.threads.get(threadId)).rejects.toThrow("404");
  });

  test("threads are found by what their metadata and values contain, in pages", async () => {
    const mark = randomUUID();
    for (let i = 0; i < 3; i++) await client.threads.create({ metadata: { mark, n: i, deep: { flag: i === 1 } } });
    const found = await client.threads.search({ metadata: { mark, deep: { flag: true } } });
    expect(found.map((thread) => thread.metadata)).toMatchObject([{ n: 1 }]);
    expect(await client.threads.search({ metadata: { mark, deep: { flag: "true" } } })).toEqual([]);
    expect(await client.threads.count({ metadata: { mark } })).toBe(3);
    const page = await client.threads.search({ metadata: { mark }, limit: 2, sortBy: "created_at", sortOrder: "asc" });
    expect(page.map((thread) => thread.metadata?.["n"])).toEqual([0, 1]);
    const run = await client.runs.wait(page[0]?.thread_id as string, "steps", { input: steps(2, { inputs: [mark] }) });
    expect(run).toMatchObject({ log: [1, 2] });
    const byValues = await client.threads.search({ values: { inputs: [mark] } as never });
    expect(byValues.map((thread) => thread.thread_id)).toEqual([page[0]?.thread_id]);
  });

  test("state, history and an earlier state are read, and a fork goes on from there", async () => {
    const { thread_id: thread } = await client.threads.create();
    await client.runs.wait(thread, "steps", { input: steps(3) });
    const state = await client.threads.getState<{ log: number[] }>(thread);
    expect(state).toMatchObject({
      values: { log: [1, 2, 3] },
      next: [],
      metadata: { source: "loop", graph_id: "steps" },
    });
    const history = await client.threads.getHistory<{ log: number[] }>(thread, { limit: 10 });
    expect(history.map(({ values }) => values.log?.length ?? 0)).toEqual([3, 2, 1, 0, 0]);
    expect(history.at(-1)?.next).toEqual(["__start__"]);
    const older = await client.threads.getHistory(thread, { limit: 1, before: history[1]?.checkpoint as never });
    expect(older.map(({ checkpoint }) => checkpoint.checkpoint_id)).toEqual([history[2]?.checkpoint.checkpoint_id]);
    const second = await client.threads.getState<{ log: number[] }>(
      thread,
      history[1]?.checkpoint.checkpoint_id as string,
    );
    expect(second.values.log).toEqual([1, 2]);
    const forked = await client.runs.wait(thread, "steps", { input: null, checkpoint: second.checkpoint as never });
    expect(forked).toMatchObject({ log: [1, 2, 3] });
    expect(await client.threads.getHistory(thread, { limit: 100 })).toHaveLength(5 + 2);
  });

  test("a state is edited as a node would, before any run too when the graph is known", async () => {
    const { thread_id: thread } = await client.threads.create({ graphId: "steps" });
    const { checkpoint } = (await client.threads.updateState(thread, {
      values: { inputs: ["edited"] },
      asNode: "__start__",
    })) as {
      checkpoint: { checkpoint_id: string };
    };
    expect(await client.threads.getState(thread)).toMatchObject({
      values: { inputs: ["edited"] },
      next: ["step"],
      metadata: { source: "update" },
      checkpoint: { checkpoint_id: checkpoint.checkpoint_id, thread_id: thread },
    });
    expect(await client.threads.get(thread)).toMatchObject({ status: "interrupted", values: { inputs: ["edited"] } });
    const { thread_id: bare } = await client.threads.create();
    await expect(client.threads.updateState(bare, { values: {} })).rejects.toThrow("400");
    await expect(client.threads.updateState(thread, { values: {}, asNode: "no_such_node" })).rejects.toThrow("422");
  });

  test("a copied question is answered in the copy, and waits on in the original", async () => {
    const { thread_id: thread } = await client.threads.create();
    await client.runs.wait(thread, "ask", { input: { question: "q" } });
    const copy = await client.threads.copy(thread);
    expect(copy).toMatchObject({ status: "interrupted", metadata: { thread_id: copy.thread_id, graph_id: "ask" } });
    const answered = await client.runs.wait(copy.thread_id, "ask", { command: { resume: 0 } });
    expect(answered).toMatchObject({ answers: [{ got: 0 }] });
    expect(await client.threads.get(thread)).toMatchObject({ status: "interrupted" });
    const original = await client.threads.getState(thread);
    expect(original.tasks).toMatchObject([{ name: "ask", interrupts: [{ value: { question: "q" } }] }]);
    await expect(client.threads.copy(randomUUID())).rejects.toThrow("404");
  });

  test("a copy has the whole history, and the question that waits in a subgraph is answered in each for itself", async () => {
    const { thread_id: thread } = await client.threads.create({ metadata: { owner: "ann" } });
    await client.runs.wait(thread, "ask_inside", { input: { log: [] } });
    const original = await client.threads.get(thread);
    const copy = (await client.threads.copy(thread)) as unknown as typeof original;
    expect(copy.metadata).toEqual({ ...original.metadata, thread_id: copy.thread_id });
    expect(copy).toMatchObject({ status: "interrupted", values: original.values, interrupts: original.interrupts });
    const [before, after] = [await client.threads.getHistory(thread), await client.threads.getHistory(copy.thread_id)];
    expect(after.map((state) => state.checkpoint.checkpoint_id)).toEqual(
      before.map((state) => state.checkpoint.checkpoint_id),
    );
    expect(after.every((state) => (state.metadata as { thread_id?: string }).thread_id === copy.thread_id)).toBe(true);
    const answer = (id: string, resume: string) => client.runs.wait(id, "ask_inside", { command: { resume } });
    const answered = (await answer(copy.thread_id, "yes")) as { log: unknown[] };
    expect(answered.log).toEqual(expect.arrayContaining(["begun", "prepared", "yes"]));
    expect(await client.threads.get(thread)).toEqual(original);
    expect(((await answer(thread, "no")) as { log: unknown[] }).log.at(-1)).toBe("no");
    expect((await client.threads.get(copy.thread_id)).values).toEqual(answered);
  });

  test("super-steps make a thread with a history", async () => {
    const made = await client.threads.create({
      graphId: "steps",
      supersteps: [
        { updates: [{ values: { inputs: ["one"] }, asNode: "__start__" }] },
        { updates: [{ values: { log: [1] }, asNode: "step" }] },
      ],
    });
    expect(made.values).toMatchObject({ inputs: ["one"], log: [1] });
    expect((await client.threads.getHistory(made.thread_id)).length).toBeGreaterThanOrEqual(2);
  });

  test("the state of a subgraph is read beside its graph's, by its own namespace, and with its history", async () => {
    const { thread_id: thread } = await client.threads.create();
    await client.runs.wait(thread, "nested_steps", { input: { rounds: 2 }, interruptBefore: ["count"] });
    const flat = await client.threads.getState(thread);
    expect(flat).toMatchObject({ next: ["count"] });
    const history = await client.threads.getHistory(thread, {
      limit: 10,
      checkpoint: { checkpoint_ns: "inner" } as never,
    });
    expect(history.length).toBeGreaterThanOrEqual(2);
    expect(history[0]?.checkpoint.checkpoint_ns).toBe("inner");
    const inner = await client.threads.getState(thread, history[0]?.checkpoint as never);
    expect(inner.checkpoint).toMatchObject({
      checkpoint_ns: "inner",
      checkpoint_id: history[0]?.checkpoint.checkpoint_id,
    });
  });

  test.runIf(version === "1.15.0")("pruning keeps the latest state, or nothing", async () => {
    const { thread_id: kept } = await client.threads.create();
    const { thread_id: gone } = await client.threads.create();
    await client.runs.wait(kept, "ask", { input: { question: "q" } });
    const keep = await client.threads.prune([kept, randomUUID()], { strategy: "keep_latest" });
    expect(keep).toMatchObject({ pruned_count: 1 });
    expect(await client.threads.getHistory(kept)).toHaveLength(1);
    expect(await client.runs.wait(kept, "ask", { command: { resume: "yes" } })).toMatchObject({
      answers: [{ got: "yes" }],
    });
    await client.threads.prune([gone]);
    await expect(client.threads.get(gone)).rejects.toThrow("404");
  });

  /** 2.0.0 cannot prune. */
  const prune = async (threads: string[], strategy?: "delete" | "keep_latest") =>
    version === "1.15.0"
      ? client.threads.prune(threads, strategy === undefined ? {} : { strategy })
      : (await http.post("/threads/prune", { thread_ids: threads, strategy })).body;

  test("pruning erases threads and counts those that were there; one with a run in flight is left alone", async () => {
    const [{ thread_id: old }, { thread_id: other }, { thread_id: busy }] = [
      await client.threads.create(),
      await client.threads.create(),
      await client.threads.create(),
    ];
    await client.runs.wait(old, "steps", { input: steps(3) });
    const { run_id: run } = await client.runs.create(busy, "steps", { input: steps(1, { delay_ms: 60_000 }) });
    await eventually(async () => (await client.runs.get(busy, run)).status === "running");
    expect(await prune([old, old, busy, randomUUID()])).toEqual({ pruned_count: 1 });
    await expect(client.threads.get(old)).rejects.toThrow("404");
    expect(await rowsOf(old)).toEqual({ checkpoints: 0, blobs: 0, writes: 0 });
    expect(await prune([busy], "keep_latest")).toEqual({ pruned_count: 0 });
    expect((await client.runs.get(busy, run)).status).toBe("running");
    expect((await client.threads.get(other)).status).toBe("idle");
    await client.runs.cancel(busy, run, true);
  });

  test("pruning to the newest state keeps that and nothing that it does not need; the thread goes on from there", async () => {
    const { thread_id: thread } = await client.threads.create();
    await client.runs.wait(thread, "steps", { input: steps(5) });
    const before = await client.threads.get(thread);
    const [newest, ...older] = await client.threads.getHistory(thread);
    expect(await prune([thread, randomUUID()], "keep_latest")).toEqual({ pruned_count: 1 });
    expect(await client.threads.get(thread)).toEqual(before);
    expect(await client.threads.getHistory(thread)).toMatchObject([
      { values: newest?.values, checkpoint: newest?.checkpoint, parent_checkpoint: null },
    ]);
    await expect(client.threads.getState(thread, older[0]?.checkpoint.checkpoint_id as string)).rejects.toThrow("404");
    const { checkpoints, blobs, writes } = await rowsOf(thread);
    expect([checkpoints, writes]).toEqual([1, 0]);
    expect(blobs).toBeLessThanOrEqual(Object.keys(newest?.values ?? {}).length + 2);
    const again = await client.runs.wait(thread, "steps", { input: steps(5, { inputs: ["more"] }) });
    expect(again).toMatchObject({ inputs: ["in", "more"], log: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] });
  });

  test("pruning keeps what a question needs, inside of a subgraph too, and not what answered ones have left", async () => {
    const { thread_id: thread } = await client.threads.create();
    await client.runs.wait(thread, "ask_inside", { input: { log: [] } });
    await client.runs.wait(thread, "ask_inside", { command: { resume: "one" } });
    await client.runs.wait(thread, "ask_inside", { input: { log: [] } });
    const stateOf = () => client.threads.getState(thread, undefined, { subgraphs: true });
    const before = await stateOf();
    await prune([thread], "keep_latest");
    const after = await stateOf();
    expect(after.tasks[0]?.state).toMatchObject({ values: before.tasks[0]?.state?.values });
    expect(after).toMatchObject({
      values: before.values,
      tasks: before.tasks.map(({ interrupts }) => ({ interrupts })),
    });
    expect((await rowsOf(thread)).checkpoints).toBe(2); // of the graph, and of the subgraph that waits
    const answered = await client.runs.wait(thread, "ask_inside", { command: { resume: "two" } });
    expect((answered as { log: unknown[] }).log.at(-1)).toBe("two");

    const { thread_id: plain } = await client.threads.create();
    await client.runs.wait(plain, "ask_both", { input: {} });
    const { interrupts } = await client.threads.get(plain);
    await prune([plain], "keep_latest");
    const questions = Object.values(interrupts).flat() as { id: string; value: { question: string } }[];
    const resume = Object.fromEntries(questions.map(({ id, value }) => [id, `${value.question}!`]));
    expect(await client.runs.wait(plain, "ask_both", { command: { resume } })).toMatchObject({
      answers: [{ left: "left!" }, { right: "right!" }],
    });
  });

  test("pruning keeps the state of a subgraph that remembers", async () => {
    const { thread_id: thread } = await client.threads.create();
    await client.runs.wait(thread, "nested_steps", { input: { rounds: 2 } });
    await prune([thread], "keep_latest");
    const inner = await client.threads.getHistory(thread, { checkpoint: { checkpoint_ns: "inner" } as never });
    expect(inner).toHaveLength(1);
    expect(await client.runs.wait(thread, "nested_steps", { input: { rounds: 3 } })).toMatchObject({ done: 3 });
  });
});

async function rowsOf(threadId: string): Promise<{ checkpoints: number; blobs: number; writes: number }> {
  const { rows } = await database.pool.query(
    `select (select count(*)::int from checkpoints where thread_id = $1) as checkpoints,
            (select count(*)::int from checkpoint_blobs where thread_id = $1) as blobs,
            (select count(*)::int from checkpoint_writes where thread_id = $1) as writes`,
    [threadId],
  );
  return rows[0] as { checkpoints: number; blobs: number; writes: number };
}

describe("the wire", () => {
  test("pages say how many there are and where the next begins, and extra fields are taken from inside", async () => {
    const mark = randomUUID();
    const thread = (await http.post("/threads", { metadata: { mark, list: [{ a: 1 }, { a: 2 }] } })).body
      .thread_id as string;
    await http.post("/threads", { metadata: { mark } });
    const first = await http.post("/threads/search", {
      metadata: { mark },
      limit: 1,
      sort_by: "created_at",
      sort_order: "asc",
    });
    expect(first.headers.get("x-pagination-total")).toBe("2");
    expect(first.headers.get("x-pagination-next")).toBe("1");
    const last = await http.post("/threads/search", { metadata: { mark }, limit: 1, offset: 1 });
    expect(last.headers.get("x-pagination-next")).toBeNull();
    const extract = { last: "metadata.list[-1].a", none: "metadata.toString", all: "values" };
    const extracted = await http.post("/threads/search", { ids: [thread], select: ["thread_id"], extract });
    expect(extracted.body).toEqual([{ thread_id: thread, extracted: { last: 2, none: null, all: null } }]);
  });

  test.each([
    ["a limit of 0", { limit: 0 }],
    ["a limit above 1000", { limit: 1001 }],
    ["an order that there is not", { sort_by: "tenant_id" }],
    ["a status that there is not", { status: "sleeping" }],
    ["a path into something else", { extract: { x: "tenant_id" } }],
    ["eleven paths", { extract: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`p${i}`, "values"])) }],
    ["metadata that is no object", { metadata: "x" }],
  ])("a search with %s is 422", async (_what, body) => {
    expect((await http.post("/threads/search", body)).status).toBe(422);
  });

  test.each([-1, 0, 1e300, "60", { ttl: -5 }, { ttl: null }, { ttl: 5, strategy: "forget" }, []])(
    "a time to live of %j is 422, and changes nothing",
    async (ttl) => {
      const { body: thread } = await http.post("/threads", { ttl: 60 });
      const path = `/threads/${thread.thread_id}`;
      expect((await http.post("/threads", { ttl })).status).toBe(422);
      expect((await http.send("PATCH", path, JSON.stringify({ ttl, metadata: { x: 1 } }), {})).status).toBe(422);
      const { body } = await http.get(`${path}?include=ttl`);
      expect(body).toMatchObject({ metadata: {}, ttl: { strategy: "delete", ttl_minutes: 60 } });
    },
  );

  test("a copy of a thread whose row is older than its checkpoints shows what these say", async () => {
    const threadId = `stale-${randomUUID()}`;
    await http.post("/graphs/ask/invoke?wait=30", { thread_id: threadId, input: { question: "well?" } });
    const { interrupts } = (await http.get(`/threads/${threadId}`)).body;
    // As a run leaves it that ended without its worker. Maintenance looks at it in an hour.
    await database.pool.query(
      `update threads set "values" = null, interrupts = '{}', status = 'idle', settled_status = 'idle',
              state_stale_at = now() + interval '1 hour' where thread_id = $1`,
      [threadId],
    );
    const copy = (await http.post(`/threads/${threadId}/copy`)).body;
    expect(copy).toMatchObject({ status: "interrupted", values: { question: "well?" }, interrupts });
    expect((await http.get(`/threads/${threadId}`)).body.values).toBeNull();
  });

  test("a copy of a thread with a run in flight is the thread as it was before that run", async () => {
    const thread = randomUUID();
    const body = { assistant_id: "steps", input: steps(2), if_not_exists: "create" };
    await http.post(`/threads/${thread}/runs/wait`, body);
    const long = { ...body, input: { inputs: ["in"], steps: 10, delay_ms: 300 } };
    const stream = await http.open("POST", `/threads/${thread}/runs/stream`, { ...long, stream_mode: "updates" });
    await stream.until(({ event }) => event === "updates");
    await stream.until(({ event }) => event === "updates");
    const { body: copy } = await http.post(`/threads/${thread}/copy`);
    expect(copy).toMatchObject({ status: "idle", values: { log: [1, 2] } });
    const state = await http.get(`/threads/${copy.thread_id}/state`);
    expect(state.body).toMatchObject({ next: [], values: { log: [1, 2] } });
    expect((await http.post(`/threads/${copy.thread_id}/runs/wait`, body)).body.log).toEqual([1, 2, 3, 4]);
    await http.post(`${stream.runPath}/cancel?wait=1`);
  });

  test("a search that holds NUL and lone surrogates finds nothing and breaks nothing", async () => {
    const answer = await http.send(
      "POST",
      "/threads/search",
      '{"metadata":{"a":"\\u0000\\ud800"},"values":{"b":"\\u0000"}}',
      {},
    );
    expect(answer).toMatchObject({ status: 200, body: [] });
    const made = await http.send("POST", "/threads", '{"metadata":{"a":"\\u0000\\ud800"}}', {});
    expect(made.status).toBe(200);
  });

  test("a change is answered without a body where that is preferred", async () => {
    const { body: thread } = await http.post("/threads");
    const answer = await http.send("PATCH", `/threads/${thread.thread_id}`, '{"metadata":{"x":1}}', {
      prefer: "return=minimal",
    });
    expect(answer).toMatchObject({ status: 204, body: "" });
    expect((await http.get(`/threads/${thread.thread_id}`)).body.metadata).toEqual({ x: 1 });
    expect((await http.send("PATCH", `/threads/${randomUUID()}`, "{}", {})).status).toBe(404);
  });

  test("the state is not edited while a run is pending or running, and only what was selected is shown", async () => {
    const { body: thread } = await http.post("/threads", { metadata: { graph_id: "steps" } });
    const path = `/threads/${thread.thread_id}`;
    const { body: run } = await http.post(`${path}/runs`, {
      assistant_id: "steps",
      input: steps(1),
      after_seconds: 60,
    });
    expect((await http.post(`${path}/state`, { values: { inputs: ["x"] } })).status).toBe(409);
    await http.post(`${path}/runs/${run.run_id}/cancel`);
    expect((await http.post(`${path}/state`, { values: { inputs: ["x"] }, as_node: "step" })).status).toBe(200);
    expect((await http.get(`${path}/state?select=values.inputs&select=next`)).body).toEqual({
      values: { inputs: ["x"] },
      next: expect.any(Array),
    });
    expect((await http.get(`${path}/state/${randomUUID()}`)).status).toBe(404);
    expect((await http.post(`${path}/state/checkpoint`, { checkpoint: { checkpoint_ns: "no_such" } })).status).toBe(
      404,
    );
  });

  test("history is filtered by metadata", async () => {
    const { body: thread } = await http.post("/threads");
    const path = `/threads/${thread.thread_id}`;
    await http.post(`${path}/runs/wait`, { assistant_id: "steps", input: steps(1), metadata: { turn: 1 } });
    await http.post(`${path}/runs/wait`, { assistant_id: "steps", input: steps(1), metadata: { turn: 2 } });
    const second = await http.post(`${path}/history`, { limit: 50, metadata: { turn: 2 } });
    expect(second.body.length).toBeGreaterThan(0);
    expect(second.body.every((state: { metadata: { turn: number } }) => state.metadata.turn === 2)).toBe(true);
  });

  test("the thread of a run without one is not found when that has ended", async () => {
    const { body: run } = await http.post("/runs", { assistant_id: "steps", input: steps(1) });
    await http.get(`/threads/${run.thread_id}/runs/${run.run_id}/join`);
    await eventually(async () => (await http.get(`/threads/${run.thread_id}`)).status === 404);
    expect((await http.post("/threads/search", { ids: [run.thread_id] })).body).toEqual([]);
  });
});
