import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient, violationsOf } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

let client: TestClient;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  const { gateway } = await startStack({ databaseUrl: database.url, config: TEST_GRAPHS, workers: 2 });
  client = new TestClient(gateway.url);
});

const steps = (n: number, more = {}) => ({ input: { inputs: ["in"], steps: n, ...more } });
const ended = (path: string) =>
  eventually(
    async () => {
      const { body } = await client.get(path);
      return body.ended_at !== null && body;
    },
    { what: `the end of ${path}` },
  );

describe("invoke", () => {
  test("answers 202 with a handle whose links work", async () => {
    const answer = await client.post("/graphs/steps/invoke", steps(3));
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({ status: "pending", thread_id: expect.any(String), run_id: expect.any(String) });
    expect(answer.headers.get("location")).toBe(answer.body.links.run);
    const run = await ended(answer.body.links.run);
    expect(run).toMatchObject({ status: "success", thread_id: answer.body.thread_id, attempt: 1, error: null });
    const state = await client.get(answer.body.links.state);
    expect(state.body.values.log).toEqual([1, 2, 3]);
    expect(violationsOf(await client.events("GET", answer.body.links.stream))).toEqual([]);
    expect((await client.post(answer.body.links.cancel)).status).toBe(202);
  });

  test("generates a UUIDv7 for a missing thread id, and takes any well-formed one", async () => {
    const generated = await client.post("/graphs/steps/invoke", steps(1));
    expect(generated.body.thread_id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    const given = `user:42@example.org_${randomUUID()}.x-y`;
    const answer = await client.post("/graphs/steps/invoke?wait=20", { ...steps(1), thread_id: given });
    expect(answer.body.thread_id).toBe(given);
    expect((await client.get(`/threads/${encodeURIComponent(given)}/runs`)).body).toHaveLength(1);
  });

  test("waits with Prefer: wait=N and answers 200 with the result", async () => {
    const answer = await client.post("/graphs/steps/invoke", steps(4), { prefer: "respond-async, wait=20" });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      status: "success",
      interrupts: [],
      result: { log: [1, 2, 3, 4], inputs: ["in"] },
    });
    expect(answer.headers.get("preference-applied")).toBe("wait=20");
  });

  test("answers 202 when the run does not end within the wait", async () => {
    const answer = await client.post("/graphs/steps/invoke?wait=0.2", steps(1, { delay_ms: 3000 }));
    expect(answer.status).toBe(202);
    expect((await ended(answer.body.links.run)).status).toBe("success");
  });

  test("a failed run answers 200 with its error, not a 500", async () => {
    const answer = await client.post("/graphs/echo/invoke?wait=20", { input: { fail: "no such customer" } });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ status: "error", error: { error: "TypeError", message: "no such customer" } });
    expect((await client.get(`/threads/${answer.body.thread_id}/runs/${answer.body.run_id}`)).body.status).toBe(
      "error",
    );
  });

  test("a graph that could not be loaded takes no run, is named, and takes the others not down", async () => {
    const answer = await client.post("/graphs/broken/invoke?wait=20", { input: {} });
    expect(answer).toMatchObject({ status: 503, body: { code: "graph_not_loaded" } });
    expect(answer.body.detail).toContain("broken");
    const listed = (await client.get("/graphs")).body.graphs as { name: string; error?: string }[];
    expect(listed.filter((graph) => graph.error !== undefined).map((graph) => graph.name)).toEqual(["broken"]);
  });

  test("a caller's configurable never overrides what the server says", async () => {
    const threadId = randomUUID();
    const configurable = {
      thread_id: "evil",
      run_id: "evil",
      checkpoint_ns: "evil",
      __pregel_resuming: true,
      user: "anna",
    };
    const answer = await client.post("/graphs/echo/invoke?wait=20", {
      thread_id: threadId,
      input: { value: 1 },
      config: { configurable },
    });
    const { seen } = answer.body.result;
    expect(seen.configurable).toMatchObject({ thread_id: threadId, run_id: answer.body.run_id, user: "anna" });
    expect(JSON.stringify(seen)).not.toContain("evil");
    const run = await client.get(`/threads/${threadId}/runs/${answer.body.run_id}`);
    expect(JSON.stringify(run.body.kwargs)).not.toContain("evil");
  });

  test("context and metadata reach the nodes, and metadata the checkpoints", async () => {
    const answer = await client.post("/graphs/echo/invoke?wait=20", {
      input: {},
      context: { locale: "fi" },
      metadata: { order: 7, run_id: "evil" },
    });
    expect(answer.body.result.seen).toMatchObject({ context: { locale: "fi" }, metadata: { order: 7 } });
    const state = await client.get(`/graphs/echo/state?thread_id=${answer.body.thread_id}`);
    expect(state.body.metadata).toMatchObject({ order: 7, run_id: answer.body.run_id, attempt: 1 });
  });

  test("a thread of another graph is refused", async () => {
    const { body } = await client.post("/graphs/steps/invoke?wait=20", steps(1));
    const answer = await client.post("/graphs/echo/invoke", { input: {}, thread_id: body.thread_id });
    expect(answer).toMatchObject({ status: 409, body: { code: "thread_of_other_graph" } });
    expect((await client.get(`/graphs/echo/state?thread_id=${body.thread_id}`)).status).toBe(409);
  });

  test("an unknown graph is a 404 that names those that exist", async () => {
    const answer = await client.post("/graphs/stepps/invoke", {});
    expect(answer).toMatchObject({
      status: 404,
      body: { code: "graph_not_found", detail: expect.stringContaining("steps") },
    });
  });

  test("null continues from where a breakpoint stopped", async () => {
    const first = await client.post("/graphs/steps/invoke?wait=20", { ...steps(3), interrupt_before: ["step"] });
    expect(first.body).toMatchObject({ status: "success", result: { log: [] } });
    const next = await client.post("/graphs/steps/invoke?wait=20", { input: null, thread_id: first.body.thread_id });
    expect(next.body.result.log).toEqual([1, 2, 3]);
  });

  test.each(["sync", "async", "exit"])("durability %s gives the same result", async (durability) => {
    const answer = await client.post("/graphs/steps/invoke?wait=20", { ...steps(5), durability });
    expect(answer.body.result.log).toEqual([1, 2, 3, 4, 5]);
    const { body } = await client.get(`/graphs/steps/history?thread_id=${answer.body.thread_id}&limit=100`);
    expect(body.count).toBe(durability === "exit" ? 1 : 7);
  });
});

describe("resume", () => {
  const asked = async (graph = "ask") =>
    (await client.post(`/graphs/${graph}/invoke?wait=20`, { input: { question: "why" } })).body;

  test("shows the question, takes the answer and goes on", async () => {
    const first = await asked();
    expect(first).toMatchObject({ status: "success", interrupts: [{ value: { question: "why" } }] });
    const state = await client.get(`/graphs/ask/state?thread_id=${first.thread_id}`);
    expect(state.body).toMatchObject({ next: ["ask"], interrupts: first.interrupts });
    const second = await client.post("/graphs/ask/resume?wait=20", {
      thread_id: first.thread_id,
      resume_data: { because: 42 },
    });
    expect(second.body).toMatchObject({
      status: "success",
      interrupts: [],
      result: { answers: [{ got: { because: 42 } }] },
    });
  });

  test.each([[null], [false], [0], [""], [[]], [{}]])("%j is an answer", async (answer) => {
    const { thread_id } = await asked();
    const resumed = await client.post("/graphs/ask/resume?wait=20", { thread_id, resume_data: answer });
    expect(resumed.body.result?.answers).toEqual([{ got: answer }]);
  });

  test("takes a command as well", async () => {
    const { thread_id } = await asked();
    const resumed = await client.post("/graphs/ask/resume?wait=20", {
      thread_id,
      command: { resume: "yes", update: { question: "changed" } },
    });
    expect(resumed.body.result).toMatchObject({ answers: [{ got: "yes" }], question: "changed" });
  });

  test("is refused when nothing waits", async () => {
    const { body } = await client.post("/graphs/echo/invoke?wait=20", { input: {} });
    const answer = await client.post("/graphs/echo/resume", { thread_id: body.thread_id, resume_data: 1 });
    expect(answer).toMatchObject({ status: 409, body: { code: "thread_not_interrupted" } });
  });

  test("is refused for a thread that does not exist, and without an answer", async () => {
    expect((await client.post("/graphs/ask/resume", { thread_id: "nobody", resume_data: 1 })).status).toBe(404);
    expect((await client.post("/graphs/ask/resume", { thread_id: "nobody" })).status).toBe(422);
  });

  test("is refused for an interrupt that does not wait", async () => {
    const { thread_id } = await asked();
    const answer = await client.post("/graphs/ask/resume", { thread_id, resume_data: 1, interrupt_id: "f".repeat(32) });
    expect(answer).toMatchObject({ status: 409, body: { code: "interrupt_not_waiting" } });
  });

  test("needs a name when several wait, and answers them one by one", async () => {
    const { thread_id, interrupts } = await asked("ask_both");
    expect(interrupts).toHaveLength(2);
    expect(await client.post("/graphs/ask_both/resume", { thread_id, resume_data: 1 })).toMatchObject({
      status: 409,
      body: { code: "several_interrupts" },
    });
    const [first, second] = interrupts as [
      { id: string; value: { question: string } },
      { id: string; value: { question: string } },
    ];
    const one = await client.post("/graphs/ask_both/resume?wait=20", {
      thread_id,
      resume_data: "A",
      interrupt_id: first.id,
    });
    expect(one.body.interrupts).toEqual([second]);
    const two = await client.post("/graphs/ask_both/resume?wait=20", {
      thread_id,
      resume_data: "B",
      interrupt_id: second.id,
    });
    expect(two.body.interrupts).toEqual([]);
    expect(two.body.result.answers).toEqual(
      expect.arrayContaining([{ [first.value.question]: "A" }, { [second.value.question]: "B" }]),
    );
  });

  test("of two answers to one question one wins and the other gets 409", async () => {
    const { thread_id } = await asked();
    const answers = await Promise.all(
      [1, 2, 3, 4].map((n) => client.post("/graphs/ask/resume?wait=20", { thread_id, resume_data: n })),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409, 409, 409]);
    const state = await client.get(`/graphs/ask/state?thread_id=${thread_id}`);
    expect(state.body.values.answers).toHaveLength(1);
  });
});

describe("state and history", () => {
  test("a thread that does not exist is a 404", async () => {
    expect((await client.get("/graphs/steps/state?thread_id=nobody")).status).toBe(404);
    expect((await client.get("/graphs/steps/history?thread_id=nobody")).status).toBe(404);
    expect((await client.post("/graphs/steps/state", { thread_id: "nobody", values: {} })).status).toBe(404);
    expect((await client.get("/threads/nobody/runs")).status).toBe(404);
    expect((await client.delete("/threads/nobody")).status).toBe(404);
  });

  test("an edit changes what the next run sees", async () => {
    const { body } = await client.post("/graphs/steps/invoke?wait=20", steps(2));
    const edited = await client.post(`/graphs/steps/state?thread_id=${body.thread_id}`, {
      values: { inputs: ["edited"] },
    });
    expect(edited).toMatchObject({
      status: 200,
      body: { status: "updated", thread_id: body.thread_id, checkpoint_id: expect.any(String) },
    });
    const state = await client.get(`/graphs/steps/state?thread_id=${body.thread_id}`);
    expect(state.body.values.inputs).toEqual(["in", "edited"]);
    expect(state.body.checkpoint.checkpoint_id).toBe(edited.body.checkpoint_id);
    expect(state.body.metadata.source).toBe("update");
  });

  test("takes the thread id from body or query and refuses two different ones", async () => {
    const { body } = await client.post("/graphs/steps/invoke?wait=20", steps(1));
    const { thread_id } = body;
    expect((await client.post("/graphs/steps/state", { thread_id, values: { inputs: ["a"] } })).status).toBe(200);
    expect(
      (await client.post(`/graphs/steps/state?thread_id=${thread_id}`, { thread_id, values: { inputs: ["b"] } }))
        .status,
    ).toBe(200);
    expect((await client.post("/graphs/steps/state?thread_id=other", { thread_id, values: {} })).status).toBe(400);
    expect((await client.post("/graphs/steps/state", { values: {} })).status).toBe(422);
  });

  test("an edit is refused while a run is active, and for a node that does not exist", async () => {
    const { body } = await client.post("/graphs/steps/invoke", steps(1, { delay_ms: 2000 }));
    const refused = await client.post("/graphs/steps/state", { thread_id: body.thread_id, values: {} });
    expect(refused).toMatchObject({ status: 409, body: { code: "run_active" } });
    await ended(body.links.run);
    const unknown = await client.post("/graphs/steps/state", {
      thread_id: body.thread_id,
      values: {},
      as_node: "nowhere",
    });
    expect(unknown.status).toBe(422);
  });

  test("history is newest first, pages with before, and bounds its limit", async () => {
    const { body } = await client.post("/graphs/steps/invoke?wait=20", steps(5));
    const path = `/graphs/steps/history?thread_id=${body.thread_id}`;
    const all = (await client.get(`${path}&limit=100`)).body.history as {
      checkpoint_id: string;
      values: { log: number[] };
    }[];
    expect(all.map((state) => state.values.log?.length ?? 0)).toEqual([5, 4, 3, 2, 1, 0, 0]);
    const page = (await client.get(`${path}&limit=2&before=${all[1]?.checkpoint_id}`)).body.history as {
      checkpoint_id: string;
    }[];
    expect(page.map((state) => state.checkpoint_id)).toEqual(all.slice(2, 4).map((state) => state.checkpoint_id));
    for (const limit of ["0", "1001", "x", "-1"]) expect((await client.get(`${path}&limit=${limit}`)).status).toBe(422);
  });

  test("a checkpoint of the past can be read and gone on from", async () => {
    const { body } = await client.post("/graphs/steps/invoke?wait=20", steps(4));
    const { history } = (await client.get(`/graphs/steps/history?thread_id=${body.thread_id}&limit=100`)).body;
    const old = history.find((state: { values: { log?: number[] } }) => state.values.log?.length === 2);
    const read = await client.get(`/graphs/steps/state?thread_id=${body.thread_id}&checkpoint_id=${old.checkpoint_id}`);
    expect(read.body.values.log).toEqual([1, 2]);
    const forked = await client.post("/graphs/steps/invoke?wait=20", {
      input: { inputs: ["fork"] },
      thread_id: body.thread_id,
      checkpoint_id: old.checkpoint_id,
    });
    expect(forked.body.result).toMatchObject({ inputs: ["in", "fork"], log: [1, 2, 3, 4] });
    expect((await client.get(`/graphs/steps/state?thread_id=${body.thread_id}&checkpoint_id=none`)).status).toBe(404);
  });
});

describe("runs of a thread", () => {
  test("join waits for the end and gives the final state", async () => {
    const { body } = await client.post("/graphs/steps/invoke", steps(3, { delay_ms: 50 }));
    const joined = await client.get(`${body.links.run}/join`);
    expect(joined).toMatchObject({ status: 200, body: { log: [1, 2, 3] } });
    const failed = (await client.post("/graphs/echo/invoke", { input: { fail: "no" } })).body;
    expect((await client.get(`${failed.links.run}/join`)).body).toEqual({
      __error__: { error: "TypeError", message: "no" },
    });
    const question = (await client.post("/graphs/ask/invoke", { input: { question: "q" } })).body;
    expect((await client.get(`${question.links.run}/join`)).body.__interrupt__).toHaveLength(1);
  });

  test("an earlier run keeps its own result after later ones", async () => {
    const first = (await client.post("/graphs/steps/invoke?wait=20", steps(2))).body;
    await client.post("/graphs/steps/invoke?wait=20", { ...steps(2), thread_id: first.thread_id });
    const joined = await client.get(`/threads/${first.thread_id}/runs/${first.run_id}/join`);
    expect(joined.body.log).toEqual([1, 2]);
  });

  test("a run of another thread does not exist", async () => {
    const a = (await client.post("/graphs/steps/invoke?wait=20", steps(1))).body;
    const b = (await client.post("/graphs/steps/invoke?wait=20", steps(1))).body;
    for (const what of ["", "/stream", "/join"])
      expect((await client.get(`/threads/${a.thread_id}/runs/${b.run_id}${what}`)).status).toBe(404);
    expect((await client.post(`/threads/${a.thread_id}/runs/${b.run_id}/cancel`)).status).toBe(404);
    expect((await client.get(`/threads/${a.thread_id}/runs/not-a-uuid`)).status).toBe(422);
  });

  test("a running run is cancelled: its node sees the signal, its stream ends, the thread is free", async () => {
    const stream = await client.open("POST", "/graphs/steps/stream", steps(20, { delay_ms: 300 }));
    await stream.until((event) => event.event === "custom");
    const cancelled = await client.post(`${stream.runPath}/cancel?wait=1`);
    expect(cancelled.status).toBe(204);
    const events = await stream.rest();
    expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({ status: "interrupted" });
    expect(events.some((event) => event.event === "error")).toBe(false);
    const run = (await client.get(stream.runPath)).body;
    expect(run.status).toBe("interrupted");
    const next = await client.post("/graphs/steps/invoke?wait=20", { ...steps(1), thread_id: run.thread_id });
    expect(next.body.status).toBe("success");
  });

  test("a rollback leaves nothing of the run", async () => {
    const base = (await client.post("/graphs/steps/invoke?wait=20", steps(2))).body;
    const second = (
      await client.post("/graphs/steps/invoke", { ...steps(50, { delay_ms: 100 }), thread_id: base.thread_id })
    ).body;
    await eventually(
      async () => (await client.get(`/graphs/steps/state?thread_id=${base.thread_id}`)).body.values.log.length > 3,
    );
    expect((await client.post(`${second.links.run}/cancel?wait=1&action=rollback`)).status).toBe(204);
    expect((await client.get(second.links.run)).status).toBe(404);
    const state = await client.get(`/graphs/steps/state?thread_id=${base.thread_id}`);
    expect(state.body.values).toMatchObject({ log: [1, 2], inputs: ["in"] });
  });

  test("a list of runs can be filtered by status and metadata, and cut to fields", async () => {
    const threadId = randomUUID();
    for (const order of [1, 2, 3]) {
      await client.post("/graphs/steps/invoke?wait=20", {
        ...steps(1),
        thread_id: threadId,
        metadata: { order, nested: { odd: order % 2 } },
      });
    }
    const list = async (query: string) =>
      (await client.get(`/threads/${threadId}/runs?${query}`)).body as { metadata: { order: number } }[];
    expect((await list("")).map((run) => run.metadata.order)).toEqual([3, 2, 1]);
    expect((await list("limit=1&offset=1")).map((run) => run.metadata.order)).toEqual([2]);
    expect(
      (await list(`metadata=${encodeURIComponent('{"nested":{"odd":1}}')}`)).map((run) => run.metadata.order),
    ).toEqual([3, 1]);
    expect(await list("status=error")).toEqual([]);
    expect(await list("status=&select=status&select=thread_id")).toEqual(
      Array.from({ length: 3 }, () => ({ status: "success", thread_id: threadId })),
    );
    expect((await client.get(`/threads/${threadId}/runs?metadata=x`)).status).toBe(422);
  });

  test("deleting a thread starts none of the runs that wait behind the one in flight", async () => {
    const threadId = randomUUID();
    const first = (await client.post("/graphs/steps/invoke", { ...steps(50, { delay_ms: 100 }), thread_id: threadId }))
      .body;
    const waiting = await Promise.all(
      Array.from({ length: 10 }, () => client.post("/graphs/steps/invoke", { ...steps(1), thread_id: threadId })),
    );
    await eventually(async () => (await client.get(first.links.run)).body.status === "running");
    const started = performance.now();
    expect((await client.delete(`/threads/${threadId}`)).status).toBe(204);
    expect(performance.now() - started).toBeLessThan(15_000);
    for (const { body } of waiting) expect((await client.get(body.links.run)).status).toBe(404);
  });

  test("deleting a thread stops its run and erases everything", async () => {
    const { body } = await client.post("/graphs/steps/invoke", steps(50, { delay_ms: 100 }));
    await eventually(async () => (await client.get(body.links.run)).body.status === "running");
    expect((await client.delete(`/threads/${body.thread_id}`)).status).toBe(204);
    expect((await client.get(body.links.run)).status).toBe(404);
    expect((await client.get(body.links.state)).status).toBe(404);
    const again = await client.post("/graphs/echo/invoke?wait=20", {
      input: { value: "new" },
      thread_id: body.thread_id,
    });
    expect(again.body.result.value).toBe("new");
  });
});

describe("double texting", () => {
  const long = steps(40, { delay_ms: 100 });
  const start = async () => {
    const { body } = await client.post("/graphs/steps/invoke", long);
    await eventually(
      async () => (await client.get(`/graphs/steps/state?thread_id=${body.thread_id}`)).body.values?.log?.length > 1,
    );
    return body;
  };

  test("reject refuses while a run is in flight", async () => {
    const first = await start();
    const answer = await client.post("/graphs/steps/invoke", {
      ...steps(1),
      thread_id: first.thread_id,
      multitask_strategy: "reject",
    });
    expect(answer).toMatchObject({ status: 409, body: { code: "thread_busy" } });
    await client.post(`${first.links.run}/cancel?wait=1`);
  });

  test("the runs that wait for their thread keep their order, and take no slot from other threads", async () => {
    const first = await start();
    const names = Array.from({ length: 40 }, (_, i) => `message ${i}`); // twice the slots of both workers
    let last = first;
    for (const name of names)
      last = (
        await client.post("/graphs/steps/invoke", { input: { inputs: [name], steps: 1 }, thread_id: first.thread_id })
      ).body;
    expect((await client.post("/graphs/steps/invoke?wait=20", steps(1))).body.status).toBe("success");
    expect((await client.get(first.links.run)).body.status).toBe("running");
    await client.post(`${first.links.run}/cancel?wait=1`);
    await ended(last.links.run);
    expect((await client.get(last.links.state)).body.values.inputs).toEqual(["in", ...names]);
  });

  test("interrupt stops the run in flight and goes on from its state", async () => {
    const first = await start();
    const second = await client.post("/graphs/echo/invoke", {
      input: {},
      thread_id: first.thread_id,
      multitask_strategy: "interrupt",
    });
    expect(second.status).toBe(409); // another graph changes nothing
    const third = await client.post("/graphs/steps/invoke?wait=20", {
      input: { inputs: ["more"], steps: 1 },
      thread_id: first.thread_id,
      multitask_strategy: "interrupt",
    });
    expect(third.body.status).toBe("success");
    expect((await client.get(first.links.run)).body.status).toBe("interrupted");
    expect(third.body.result.inputs).toEqual(["in", "more"]);
    expect(third.body.result.log.length).toBeGreaterThan(2);
  });

  test("rollback removes the run in flight and starts from before it", async () => {
    const first = await start();
    const second = await client.post("/graphs/steps/invoke?wait=20", {
      input: { inputs: ["only"], steps: 1 },
      thread_id: first.thread_id,
      multitask_strategy: "rollback",
    });
    expect(second.body.result).toMatchObject({ inputs: ["only"], log: [1] });
    expect((await client.get(first.links.run)).status).toBe(404);
  });

  test("enqueue runs them one after the other, in order", async () => {
    const threadId = randomUUID();
    const handles = [];
    for (const n of [1, 2, 3, 4, 5])
      handles.push(
        (await client.post("/graphs/steps/invoke", { input: { inputs: [`m${n}`], steps: 2 }, thread_id: threadId }))
          .body,
      );
    for (const handle of handles) expect((await ended(handle.links.run)).status).toBe("success");
    const state = await client.get(`/graphs/steps/state?thread_id=${threadId}`);
    expect(state.body.values.inputs).toEqual(["m1", "m2", "m3", "m4", "m5"]);
    const runs = (await client.get(`/threads/${threadId}/runs?limit=100`)).body as {
      started_at: string;
      ended_at: string;
    }[];
    const times = runs.toReversed().flatMap((run) => [run.started_at, run.ended_at]);
    expect(times).toEqual(times.toSorted());
  });
});

describe("Idempotency-Key", () => {
  test("the same key and body give the same run, whatever the order of keys and the wait", async () => {
    const key = { "idempotency-key": randomUUID() };
    const one = await client.post(
      "/graphs/steps/invoke",
      { input: { inputs: ["a"], steps: 2 }, metadata: { x: 1 } },
      key,
    );
    const two = await client.send(
      "POST",
      "/graphs/steps/invoke?wait=20",
      '{"metadata":{"x":1},"input":{"steps":2,"inputs":["a"]}}',
      key,
    );
    expect(two.body).toMatchObject({ run_id: one.body.run_id, thread_id: one.body.thread_id, status: "success" });
    expect((await client.get(`/threads/${one.body.thread_id}/runs`)).body).toHaveLength(1);
  });

  test("another body, or another path, is refused", async () => {
    const key = { "idempotency-key": randomUUID() };
    await client.post("/graphs/steps/invoke", steps(1), key);
    expect(await client.post("/graphs/steps/invoke", steps(2), key)).toMatchObject({
      status: 422,
      body: { code: "idempotency_key_reused" },
    });
    expect((await client.post("/graphs/steps/stream", steps(1), key)).status).toBe(422);
  });

  test("a stream with a known key joins the run, from its first event on", async () => {
    const key = { "idempotency-key": randomUUID() };
    const one = await client.events("POST", "/graphs/steps/stream", steps(3), key);
    const two = await client.events("POST", "/graphs/steps/stream", steps(3), key);
    expect(two).toEqual(one);
    expect(violationsOf(two)).toEqual([]);
  });

  test("a key is kept for 24 hours; after that it makes a new run, with any body", async () => {
    const key = { "idempotency-key": randomUUID() };
    const submit = async (n: number) =>
      (await client.post("/graphs/steps/invoke", steps(n), key)).body.run_id as string;
    const pass = (time: string) =>
      database.pool.query("update idempotency_keys set created_at = created_at - $2::interval where key = $1", [
        key["idempotency-key"],
        time,
      ]);
    const first = await submit(1);
    await pass("23 hours 59 minutes");
    expect(await submit(1)).toBe(first);
    await pass("1 minute");
    const second = await submit(2);
    expect(second).not.toBe(first);
    expect(await submit(2)).toBe(second);
    const { rows } = await database.pool.query("select run_id from idempotency_keys where key = $1", [
      key["idempotency-key"],
    ]);
    expect(rows).toEqual([{ run_id: second }]);
  });

  test("fifty at once make one run", async () => {
    const key = { "idempotency-key": randomUUID() };
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => client.post("/graphs/steps/invoke", steps(1), key)),
    );
    expect(new Set(answers.map((answer) => answer.body.run_id)).size).toBe(1);
    expect(answers.every((answer) => answer.status === 202)).toBe(true);
  });

  test("a refused submission leaves its key free", async () => {
    const key = { "idempotency-key": randomUUID() };
    const threadId = randomUUID();
    const first = (await client.post("/graphs/steps/invoke", { ...steps(30, { delay_ms: 100 }), thread_id: threadId }))
      .body;
    const body = { ...steps(1), thread_id: threadId, multitask_strategy: "reject" };
    expect((await client.post("/graphs/steps/invoke", body, key)).status).toBe(409);
    await client.post(`${first.links.run}/cancel?wait=1`);
    expect((await client.post("/graphs/steps/invoke", body, key)).status).toBe(202);
  });
});
