import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { Command } from "@langchain/langgraph";
import { RemoteGraph } from "@langchain/langgraph/remote";
import type { Client } from "langgraph-sdk-1";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient, violationsOf } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { startStack, type StackProcess } from "../support/stack.ts";
import { SDKS } from "./sdk.ts";

// Streams by the Agent Server API with the official clients, AGENT_SERVER_API section 7, over two gateways.

let gateways: StackProcess[];
let workers: StackProcess[];
let http: TestClient;
beforeAll(async () => {
  const database = await createTestDatabase();
  const { stack, gateway, ...started } = await startStack({
    databaseUrl: database.url,
    config: TEST_GRAPHS,
    workers: 2,
  });
  ({ workers } = started);
  gateways = [gateway, await stack.startGateway()];
  http = new TestClient(gateway.url);
});
const url = (i = 0) => (gateways[i] as StackProcess).url;

const steps = (n: number, more = {}) => ({ inputs: ["in"], steps: n, ...more });
const hello = { messages: [{ role: "user", content: "hello" }] };
interface Part {
  id?: string | undefined;
  event: string;
  data: unknown;
}
async function all(parts: AsyncIterable<Part>): Promise<Part[]> {
  const seen: Part[] = [];
  for await (const part of parts) seen.push(part);
  return seen;
}
const named = (parts: Part[], event: string) => parts.filter((part) => part.event === event);

describe.each(SDKS)("SDK $version", ({ connect }) => {
  let client: Client;
  beforeAll(() => {
    client = connect(url());
  });

  test("tokens come as messages, also those of a subgraph that was not asked for", async () => {
    const thread = randomUUID();
    const parts = await all(
      client.runs.stream(thread, "talk", {
        input: hello,
        streamMode: ["messages-tuple", "values"],
        ifNotExists: "create",
      }) as AsyncIterable<Part>,
    );
    expect(parts[0]).toMatchObject({
      event: "metadata",
      data: { run_id: expect.any(String), attempt: 1, thread_id: thread },
    });
    const tokens = named(parts, "messages").map(
      ({ data }) => data as [{ type: string; content: string; id: string }, { langgraph_node: string }],
    );
    const spoken = tokens.filter(([message]) => message.type === "AIMessageChunk");
    expect(spoken.map(([message]) => message.content).join("")).toContain("The quick fox");
    expect(spoken[0]?.[1]).toMatchObject({ langgraph_node: "speak" });
    const last = named(parts, "values").at(-1)?.data as { messages: { type: string; content: string }[] };
    expect(last.messages.map(({ type }) => type)).toEqual(["human", "ai", "ai"]);
    expect(new Set(parts.map(({ event }) => event.split("|")[0]))).toEqual(
      new Set(["metadata", "messages", "values", ...(parts.at(-1)?.event === "end" ? ["end"] : [])]),
    );
  });

  test("events of subgraphs are named by their namespace when they are asked for", async () => {
    const parts = await all(
      client.runs.stream(randomUUID(), "talk", {
        input: hello,
        streamMode: ["updates", "custom"],
        streamSubgraphs: true,
        ifNotExists: "create",
      }) as AsyncIterable<Part>,
    );
    const names = parts.map(({ event }) => event);
    expect(names.some((name) => /^updates\|inner:[0-9a-f-]{36}$/.test(name))).toBe(true);
    expect(names.some((name) => /^custom\|inner:[0-9a-f-]{36}$/.test(name))).toBe(true);
    expect(names).toContain("updates");
  });

  test("a question shows in values, and its answer goes on in the next stream", async () => {
    const thread = randomUUID();
    const asked = await all(
      client.runs.stream(thread, "ask", {
        input: { question: "q" },
        streamMode: ["values", "updates"],
        ifNotExists: "create",
      }) as AsyncIterable<Part>,
    );
    const interrupts = asked.flatMap(({ event, data }) =>
      event === "values" || event === "updates" ? ((data as { __interrupt__?: unknown[] }).__interrupt__ ?? []) : [],
    );
    expect(interrupts[0]).toMatchObject({ id: expect.stringMatching(/^[0-9a-f]{32}$/), value: { question: "q" } });
    const answered = await all(
      client.runs.stream(thread, "ask", { command: { resume: "" }, streamMode: "values" }) as AsyncIterable<Part>,
    );
    expect(named(answered, "values").at(-1)?.data).toMatchObject({ answers: [{ got: "" }] });
  });

  test("a failed run's stream ends with its error", async () => {
    const parts = await all(
      client.runs.stream(randomUUID(), "echo", {
        input: { fail: "boom" },
        ifNotExists: "create",
      }) as AsyncIterable<Part>,
    );
    expect(named(parts, "error")).toMatchObject([{ data: { error: "TypeError", message: "boom" } }]);
  });

  test("many join at once, on both gateways, and each gets the same from the beginning", async () => {
    const thread = randomUUID();
    const run = await client.runs.create(thread, "steps", {
      input: steps(8, { delay_ms: 20 }),
      streamMode: ["updates", "custom"],
      streamResumable: true,
      ifNotExists: "create",
    });
    const joins = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        all(connect(url(i % 2)).runs.joinStream(thread, run.run_id, { lastEventId: "-1" }) as AsyncIterable<Part>),
      ),
    );
    for (const parts of joins) expect(parts).toEqual(joins[0]);
    expect(named(joins[0] as Part[], "updates")).toHaveLength(8);
    const late = await all(client.runs.joinStream(thread, run.run_id, { lastEventId: "-1" }) as AsyncIterable<Part>);
    expect(late, "a replay is what was sent").toEqual(joins[0]);
  });
});

describe("the stream of a thread", () => {
  const body = { assistant_id: "steps", input: steps(2), stream_mode: "updates" };
  const runIdOf = ({ data }: { data: unknown }) => (data as { run_id: string }).run_id;

  test.each(SDKS)("SDK $version follows run after run", async ({ connect }) => {
    const client = connect(url(1));
    const { thread_id: thread } = await client.threads.create();
    const left = new AbortController();
    const seen: Part[] = [];
    const following = (async () => {
      for await (const part of client.threads.joinStream(thread, {
        lastEventId: "-",
        signal: left.signal,
      } as never) as AsyncIterable<Part>) {
        seen.push(part);
        if (named(seen, "end").length === 2) break;
      }
    })();
    const first = await http.post(`/threads/${thread}/runs`, body);
    await http.get(`/threads/${thread}/runs/${first.body.run_id}/join`);
    const second = await http.post(`/threads/${thread}/runs`, body);
    await following;
    left.abort();
    expect(named(seen, "metadata").map(runIdOf)).toEqual([first.body.run_id, second.body.run_id]);
    expect(named(seen, "updates")).toHaveLength(4);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
  });

  test("goes on after an event, from now on without one, and shows only starts and ends where that is asked", async () => {
    const { body: thread } = await http.post("/threads");
    const path = `/threads/${thread.thread_id}`;
    for (let i = 0; i < 2; i++) await http.post(`${path}/runs/wait`, body);
    const whole = await http.open("GET", `${path}/stream`, undefined, { "last-event-id": "-" });
    await whole.until(({ event }) => event === "end");
    const after = whole.lastId;
    await whole.until(({ event }) => event === "end");
    whole.close();
    const rest = await http.open("GET", `${path}/stream`, undefined, { "last-event-id": after });
    await rest.until(({ event }) => event === "end");
    rest.close();
    expect(rest.seen).toEqual(whole.seen.slice(whole.seen.findIndex(({ id }) => id === after) + 1));

    const live = await http.open("GET", `${path}/stream?stream_modes=lifecycle&stream_mode=state_update`);
    const run = await http.post(`${path}/runs/wait`, body);
    await live.until(({ event }) => event === "end");
    live.close();
    expect(live.seen.map(({ event }) => event)).toEqual(["metadata", "state_update", "end"]);
    expect(JSON.parse(live.seen[1]?.data as string)).toMatchObject({ values: run.body });
    expect((await http.get(`/threads/${randomUUID()}/stream`)).status).toBe(404);
  });
});

describe("the stream of a thread from now on", () => {
  test("shows nothing of earlier runs, also after a run that ended before it began", async () => {
    const { body: thread } = await http.post("/threads");
    const path = `/threads/${thread.thread_id}`;
    const body = { assistant_id: "steps", input: steps(1), stream_mode: "updates" };
    const earlier = await http.post(`${path}/runs`, body);
    await http.get(`${path}/runs/${earlier.body.run_id}/join`);
    for (const worker of workers) worker.signal("SIGSTOP"); // the next run does not begin
    const cancelled = await http.post(`${path}/runs`, body);
    const stream = await http.open("GET", `${path}/stream`);
    await http.post(`${path}/runs/${cancelled.body.run_id}/cancel`);
    await stream.until(({ event }) => event === "end");
    for (const worker of workers) worker.signal("SIGCONT");
    const later = await http.post(`${path}/runs`, body);
    await stream.until(({ event }) => event === "end");
    stream.close();
    const shown = stream.seen.flatMap(({ event, data }) =>
      event === "metadata" || event === "end" ? [(JSON.parse(data) as { run_id: string }).run_id] : [],
    );
    expect(shown).toEqual([cancelled.body.run_id, later.body.run_id, later.body.run_id]);
  });
});

describe("the wire", () => {
  test("a joiner that names no event gets what comes from now on, and still the end", async () => {
    const thread = randomUUID();
    const body = {
      assistant_id: "steps",
      input: steps(12, { delay_ms: 40 }),
      stream_mode: "updates",
      if_not_exists: "create",
    };
    const first = await http.open("POST", `/threads/${thread}/runs/stream`, body);
    const seen = await first.until(({ event }) => event === "updates");
    const joined = await http.events("GET", `${first.runPath}/stream`);
    expect(joined.map(({ id }) => id)).not.toContain(seen.id);
    expect(joined.at(-1)).toMatchObject({ event: "end" });
    expect(violationsOf(await first.rest())).toEqual([]);
    const after = await http.events("GET", `${first.runPath}/stream`, undefined, {
      "last-event-id": seen.id as string,
    });
    expect(after).toEqual(first.seen.slice(first.seen.findIndex(({ id }) => id === seen.id) + 1));
  });

  test("each event is one line of JSON, and none is empty", async () => {
    const response = await fetch(`${url()}/runs/stream`, {
      method: "POST",
      body: JSON.stringify({
        assistant_id: "talk",
        input: hello,
        stream_mode: ["messages", "debug", "tasks", "checkpoints", "events"],
      }),
    });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    const text = await response.text();
    const frames = text.split("\n\n").filter((frame) => frame.includes("event:"));
    expect(frames.length).toBeGreaterThan(10);
    for (const frame of frames) {
      const lines = frame.split("\n").filter((line) => !line.startsWith(":") && !line.startsWith("retry:"));
      expect(lines.map((line) => line.split(":", 1)[0])).toEqual(["id", "event", "data"]);
      JSON.parse((lines[2] as string).slice("data: ".length));
    }
    expect(frames.at(-1)).toMatch(/event: end\ndata: \{"run_id":"[0-9a-f-]{36}","status":"success"\}$/);
  });

  test("the stream of a run that was never there is empty without a thread, and 404 on one", async () => {
    expect(await http.events("GET", `/runs/${randomUUID()}/stream`)).toEqual([]);
    expect((await http.get(`/threads/${randomUUID()}/runs/${randomUUID()}/stream`)).status).toBe(404);
  });
});

describe("RemoteGraph", () => {
  test("invokes, streams, reads and edits state, as a graph of one's own", async () => {
    const graph = new RemoteGraph({ graphId: "steps", url: url() });
    const config = { configurable: { thread_id: randomUUID() } };
    expect(await graph.invoke(steps(2), config)).toMatchObject({ log: [1, 2] });
    const updates: unknown[] = [];
    for await (const update of await graph.stream(steps(4), { ...config, streamMode: "updates" })) updates.push(update);
    expect(updates).toEqual([{ step: { log: [3] } }, { step: { log: [4] } }]);
    expect((await graph.getState(config)).values).toMatchObject({ log: [1, 2, 3, 4] });
    await graph.updateState(config, { inputs: ["edited"] }, "step");
    expect((await graph.getState(config)).values.inputs.at(-1)).toBe("edited");
    const history: unknown[] = [];
    for await (const state of graph.getStateHistory(config)) history.push(state);
    expect(history.length).toBeGreaterThan(5);
  });

  test("a question in it interrupts the graph around it, and is answered by a command", async () => {
    const graph = new RemoteGraph({ graphId: "ask", url: url() });
    const config = { configurable: { thread_id: randomUUID() } };
    await expect(graph.invoke({ question: "q" }, config)).rejects.toMatchObject({
      name: "GraphInterrupt",
      interrupts: [{ value: { question: "q" } }],
    });
    const { tasks } = await graph.getState(config);
    expect(tasks).toMatchObject([{ interrupts: [{ value: { question: "q" } }] }]);
    expect(await graph.invoke(new Command({ resume: "yes" }), config)).toMatchObject({ answers: [{ got: "yes" }] });
  });
});
