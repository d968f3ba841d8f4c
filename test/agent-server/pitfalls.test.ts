import { randomUUID } from "node:crypto";
import type { Pool } from "pg";
import { beforeAll, describe, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

// What implementers of the Agent Server API usually get wrong: AGENT_SERVER_API section (b), by its numbers. Points that are not
// here have their test where the thing itself is tested: 1, 8, 9, 13, 14, 16, 18, 20, 23 in runs, streams and threads; 17 in
// fleet; 25 to 27 in assistants; 28 in gateway/access; 30 in gateway/bad-input. 7 is in gateway/access, 12 is of protocol v2.

const ORIGIN = "https://ui.example.org";
let http: TestClient;
let pool: Pool;
beforeAll(async () => {
  const database = await createTestDatabase();
  ({ pool } = database);
  const env = { ALLOWED_ORIGINS: ORIGIN };
  const { gateway } = await startStack({ databaseUrl: database.url, config: TEST_GRAPHS, env, workers: 2 });
  http = new TestClient(gateway.url);
});

const steps = (n: number, more = {}) => ({ inputs: ["in"], steps: n, ...more });
const names = (events: { event: string }[]) => [
  ...new Set(events.map(({ event }) => event.replace(/:[0-9a-f-]{36}/, ""))),
];
const statusOf = async (path: string) => (await http.get(path)).body.status as string;

async function newThread(): Promise<string> {
  return (await http.post("/threads")).body.thread_id as string;
}

/** A run that takes long, and its path, once it is running. */
async function longRun(more = {}): Promise<{ thread: string; path: string }> {
  const thread = await newThread();
  const body = { assistant_id: "patient_steps", input: steps(50, { delay_ms: 200 }), ...more };
  const path = `/threads/${thread}/runs/${(await http.post(`/threads/${thread}/runs`, body)).body.run_id as string}`;
  await eventually(async () => (await statusOf(path)) === "running");
  return { thread, path };
}

describe("the client's wire contract", () => {
  test("2: flags of 0 and false are off, and a list may be one value, repeated, or JSON", async () => {
    const { path } = await longRun();
    const stream = await http.open("GET", `${path}/stream?cancel_on_disconnect=0&stream_mode=values`);
    await stream.next();
    stream.close();
    expect((await http.post(`${path}/cancel?wait=0`)).status).toBe(202);
    expect((await http.post(`${path}/cancel?wait=false`)).status).toBe(202);
    await eventually(async () => (await statusOf(path)) === "interrupted");
    const run = await http.post(`/threads/${await newThread()}/runs/wait`, {
      assistant_id: "steps",
      input: steps(1),
      stream_mode: ["values", "updates", "custom"],
    });
    const join = `${run.headers.get("content-location") ?? ""}/stream`;
    const modes = [
      "stream_mode=values&stream_mode=updates",
      `stream_mode=${encodeURIComponent('["values","updates"]')}`,
    ];
    for (const query of modes)
      expect(names(await http.events("GET", `${join}?${query}`))).toEqual(["metadata", "values", "updates", "end"]);
    expect(names(await http.events("GET", `${join}?stream_mode=updates`))).toEqual(["metadata", "updates", "end"]);
  });

  test("3: a filter of a join passes events of subgraphs and of each kind of message", async () => {
    const nested = await http.post(`/threads/${await newThread()}/runs/wait`, {
      assistant_id: "nested_steps",
      input: { rounds: 1 },
      stream_mode: ["updates", "custom", "values"],
      stream_subgraphs: true,
    });
    const stream = `${nested.headers.get("content-location") ?? ""}/stream`;
    const events = names(await http.events("GET", `${stream}?stream_mode=updates`));
    expect(events).toEqual(["metadata", "updates|inner", "updates", "end"]);
    const talk = await http.post(`/threads/${await newThread()}/runs/wait`, {
      assistant_id: "talk",
      input: { messages: "hi" },
      stream_mode: ["messages", "values"],
    });
    const talked = `${talk.headers.get("content-location") ?? ""}/stream?stream_mode=messages`;
    expect(names(await http.events("GET", talked)).toSorted()).toEqual(
      ["end", "messages/complete", "messages/metadata", "messages/partial", "metadata"].toSorted(),
    );
  });

  test("4: every frame ends with a blank line, and a heartbeat is one line that ends no event", async () => {
    const { path } = await longRun({ input: steps(1, { delay_ms: 5_500 }) });
    const bytes = await (await fetch(`${http.url}${path}/stream`, { headers: { "last-event-id": "-1" } })).text();
    expect(bytes).toMatch(/\n\n: heartbeat\n(id|:)/);
    expect(bytes).not.toContain(": heartbeat\n\n");
    expect(bytes).not.toMatch(/^data: ?$/m);
    expect(bytes.endsWith("\n\n")).toBe(true);
  });

  test("5: a page of another origin may read where its run is", async () => {
    const body = JSON.stringify({ assistant_id: "steps", input: steps(1) });
    const response = await fetch(`${http.url}/runs/wait`, { method: "POST", headers: { origin: ORIGIN }, body });
    expect(response.headers.get("access-control-allow-origin")).toBe(ORIGIN);
    const exposed = (response.headers.get("access-control-expose-headers") ?? "").toLowerCase().split(/, ?/);
    expect(exposed).toEqual(
      expect.arrayContaining(["content-location", "location", "x-pagination-total", "x-pagination-next"]),
    );
    await response.text();
  });

  test.each([
    ["PATCH", "/threads/00000000-0000-4000-8000-000000000000/state"],
    ["POST", "/runs/crons"],
    ["PUT", "/store/items"],
    ["POST", "/mcp"],
    ["POST", "/threads/00000000-0000-4000-8000-000000000000/commands"],
    ["POST", "/internal/truncate"],
  ])("6: %s %s, which is not there, is a 404 that no client repeats", async (method, path) => {
    const answer = await http.send(method, path, "{}", {});
    expect(answer).toMatchObject({ status: 404, body: { detail: expect.any(String) } });
  });
});

test("LangGraph Studio and Agent Chat UI find all that they call, from a page of an origin that is allowed", async () => {
  const thread = await newThread();
  const run = { assistant_id: "talk", input: { messages: [{ type: "human", content: "hi" }] } };
  const { body: made } = await http.post(`/threads/${thread}/runs`, run);
  const calls: [method: string, path: string, body?: object][] = [
    ["GET", "/info"],
    ["GET", "/ok"],
    ["POST", "/assistants/search", { limit: 1000, metadata: { created_by: "system" } }],
    ["GET", "/assistants/talk"],
    ["GET", "/assistants/talk/graph?xray=true"],
    ["GET", "/assistants/talk/schemas"],
    ["GET", "/assistants/talk/subgraphs?recurse=true"],
    ["POST", "/assistants/talk/versions", { limit: 10 }],
    ["POST", "/threads", {}],
    ["POST", "/threads/search", { limit: 100, metadata: { graph_id: "talk" }, sort_by: "updated_at" }],
    ["GET", `/threads/${thread}`],
    ["PATCH", `/threads/${thread}`, { metadata: { title: "a chat" } }],
    ["GET", `/threads/${thread}/runs/${made.run_id}/join`],
    ["GET", `/threads/${thread}/state?subgraphs=true`],
    ["POST", `/threads/${thread}/history`, { limit: 1000 }],
    ["POST", `/threads/${thread}/state`, { values: null, as_node: "close" }],
    ["GET", `/threads/${thread}/runs?limit=10`],
    [
      "POST",
      `/threads/${thread}/runs/stream`,
      { ...run, stream_mode: ["values", "messages-tuple"], stream_resumable: true },
    ],
    ["GET", `/threads/${thread}/runs/${made.run_id}/stream`],
    ["POST", `/threads/${thread}/runs/${made.run_id}/cancel?wait=0&action=interrupt`],
    ["DELETE", `/threads/${thread}`],
  ];
  const asked = "content-type,x-api-key,authorization,last-event-id,prefer,x-auth-scheme";
  for (const [method, path, body] of calls) {
    const what = `${method} ${path}`;
    const preflight = await fetch(http.url + path, {
      method: "OPTIONS",
      headers: { origin: ORIGIN, "access-control-request-method": method, "access-control-request-headers": asked },
    });
    expect(preflight.status, what).toBe(204);
    expect(preflight.headers.get("access-control-allow-methods"), what).toContain(method);
    expect(preflight.headers.get("access-control-allow-headers"), what).toBe(asked);
    const answer = await http.send(method, path, body && JSON.stringify(body), { origin: ORIGIN });
    expect(answer.status, `${what}: ${JSON.stringify(answer.body)}`).toBeLessThan(300);
    expect(answer.headers.get("access-control-allow-origin"), what).toBe(ORIGIN);
  }
});

describe("streams", () => {
  test("10: a cancelled run's stream has one end, which says so, and no error", async () => {
    const { path } = await longRun();
    const stream = await http.open("GET", `${path}/stream`, undefined, { "last-event-id": "-1" });
    await stream.until(({ event }) => event === "values");
    await http.post(`${path}/cancel`);
    const events = await stream.rest();
    expect(events.filter(({ event }) => event === "end" || event === "error")).toMatchObject([{ event: "end" }]);
    expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({ status: "interrupted" });
  });

  test("11: a client that asked for a cancel when it goes, and comes back, has not cancelled", async () => {
    const thread = await newThread();
    const stream = await http.open("POST", `/threads/${thread}/runs/stream`, {
      assistant_id: "patient_steps",
      input: steps(20, { delay_ms: 150 }),
      on_disconnect: "cancel",
    });
    await stream.until(({ event }) => event === "values");
    stream.close();
    const again = await http.events("GET", `${stream.runPath}/stream`, undefined, { "last-event-id": stream.lastId });
    expect(JSON.parse(again.at(-1)?.data ?? "")).toMatchObject({ status: "success" });
  });
});

describe("runs and threads", () => {
  test("15: a thread is idle after a cancel, error after a failure, and busy with a delayed run", async () => {
    const { thread, path } = await longRun();
    expect((await http.post(`${path}/cancel?wait=1`)).status).toBe(204);
    expect(await statusOf(`/threads/${thread}`)).toBe("idle");
    const failed = await newThread();
    await http.post(`/threads/${failed}/runs/wait`, { assistant_id: "echo", input: { fail: "no" } });
    expect((await http.get(`/threads/${failed}`)).body).toMatchObject({ status: "error", error: { message: "no" } });
    const delayed = { assistant_id: "echo", input: { value: 1 }, after_seconds: 600 };
    const { body: run } = await http.post(`/threads/${failed}/runs`, delayed);
    expect(await statusOf(`/threads/${failed}`)).toBe("busy");
    expect((await http.post(`/threads/${failed}/state`, { values: { value: 2 } })).status).toBe(409);
    await http.post(`/threads/${failed}/runs/${run.run_id}/cancel?wait=1`);
    expect(await statusOf(`/threads/${failed}`)).not.toBe("busy");
  });

  test("19: where a run was forked from is forgotten with it", async () => {
    const thread = await newThread();
    const run = (more = {}) =>
      http.post(`/threads/${thread}/runs/wait`, { assistant_id: "steps", input: steps(2), ...more });
    await run();
    const { body: history } = await http.post(`/threads/${thread}/history`, { limit: 10 });
    const early = history.find(({ values }: { values: { log?: number[] } }) => values.log?.length === 1).checkpoint;
    expect((await run({ input: null, checkpoint: early })).body.log).toEqual([1, 2]);
    expect((await run()).body.log).toEqual([1, 2, 3, 4]);
    const { body: row } = await http.get(`/threads/${thread}`);
    expect(JSON.stringify(row.config ?? {})).not.toContain("checkpoint");
  });

  test("19: a subgraph is forked by the map of its checkpoints: what it had done before is not done again", async () => {
    const thread = await newThread();
    await http.post(`/threads/${thread}/runs/wait`, { assistant_id: "nested_steps", input: { rounds: 1 } });
    const historyOf = async (checkpoint_ns: string) =>
      (await http.post(`/threads/${thread}/history`, { limit: 20, checkpoint: { checkpoint_ns } })).body as {
        next: string[];
        checkpoint: { checkpoint_id: string };
      }[];
    const atNext = async (ns: string, node: string) =>
      (await historyOf(ns)).find(({ next }) => next[0] === node)?.checkpoint.checkpoint_id ?? "";
    const root = await atNext("", "inner");
    const inside = async (node: string) => {
      const checkpoint_map = { "": root, inner: await atNext("inner", node) };
      const events = await http.events("POST", `/threads/${thread}/runs/stream`, {
        assistant_id: "nested_steps",
        input: null,
        checkpoint: { checkpoint_id: root, checkpoint_ns: "", checkpoint_map },
        stream_mode: ["custom"],
        stream_subgraphs: true,
      });
      expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({ status: "success" });
      return events.filter(({ event }) => event.startsWith("custom")).length;
    };
    expect(await inside("second")).toBe(0);
    expect(await inside("first")).toBe(1);
  });

  test.each([[null], [false], [0], [""]])("21: the answer %j is an answer", async (resume) => {
    const thread = await newThread();
    await http.post(`/threads/${thread}/runs/wait`, { assistant_id: "ask", input: { question: "q" } });
    const { body } = await http.post(`/threads/${thread}/runs/wait`, { assistant_id: "ask", command: { resume } });
    expect(body).toEqual({ question: "q", answers: [{ got: resume }] });
  });

  test("21: a recursion limit that is not given leaves the graph's own", async () => {
    const run = (more = {}) => http.post("/runs/wait", { assistant_id: "patient_steps", input: steps(40), ...more });
    expect((await run()).body.log).toHaveLength(40);
    expect((await run({ config: { recursion_limit: null } })).body.log).toHaveLength(40);
    expect((await run({ config: { recursion_limit: 10 } })).body.__error__.error).toBe("GraphRecursionError");
  });

  test("22: the thread of a run without one is gone after a failure, and its error is told before", async () => {
    const stream = await http.open("POST", "/runs/stream", { assistant_id: "echo", input: { fail: "no" } });
    const events = await stream.rest();
    expect(events.map(({ event }) => event)).toEqual(["metadata", "values", "error", "end"]);
    const { thread_id, run_id } = JSON.parse(events[0]?.data ?? "") as { thread_id: string; run_id: string };
    expect((await http.get(`/threads/${thread_id}`)).status).toBe(404);
    expect((await http.post("/threads/search", { ids: [thread_id] })).body).toEqual([]);
    expect((await http.get(`/runs/${run_id}/join`)).body.__error__).toMatchObject({ message: "no" });
  });

  test("24: runs of one graph at once each see their own config", async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, who) =>
        http.post("/runs/wait", { assistant_id: "echo", input: { value: who }, config: { configurable: { who } } }),
      ),
    );
    expect(answers.map(({ body }) => [body.value, body.seen.configurable.who])).toEqual(
      Array.from({ length: 30 }, (_, who) => [who, who]),
    );
  });
});

test("29: credentials of a request are nowhere: not in a run, an event, a checkpoint or what a node sees", async () => {
  const secret = `secret-${randomUUID()}`;
  const headers = {
    authorization: `Bearer ${secret}`,
    "x-api-key": secret,
    cookie: `session=${secret}`,
    "x-service-key": secret,
    "proxy-authorization": secret,
  };
  const thread = await newThread();
  const body = { assistant_id: "echo", input: { value: 1 }, stream_mode: ["debug", "checkpoints", "values", "tasks"] };
  const stream = await http.open("POST", `/threads/${thread}/runs/stream`, body, headers);
  const events = await stream.rest();
  expect(events.at(-1)?.event).toBe("end");
  const shown = [
    JSON.stringify(events),
    JSON.stringify((await http.get(stream.runPath)).body),
    JSON.stringify((await http.get(`/threads/${thread}/state`)).body),
    JSON.stringify((await http.get(`/threads/${thread}/history`)).body),
  ].join();
  expect(shown).not.toContain(secret);
  const tables = await pool.query<{ name: string }>(
    "select quote_ident(table_name) as name from information_schema.tables where table_schema = current_schema()",
  );
  expect(tables.rows.length).toBeGreaterThan(5);
  for (const { name } of tables.rows) {
    const { rows } = await pool.query(`select 1 from ${name} t where t::text like $1`, [`%${secret}%`]);
    expect(rows, name).toEqual([]);
  }
});
