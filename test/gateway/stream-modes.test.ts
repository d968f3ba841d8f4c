import { beforeAll, expect, test } from "vitest";
import type { StreamEvent } from "../../apps/cli/src/demo/sse-events.ts";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient, violationsOf } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";

let client: TestClient;

beforeAll(async () => {
  const database = await createTestDatabase();
  const { gateway } = await startStack({ databaseUrl: database.url, config: TEST_GRAPHS });
  client = new TestClient(gateway.url);
});

const input = { messages: [{ role: "user", content: "hi" }] };

async function talk(modes: string | string[], more: object = {}): Promise<StreamEvent[]> {
  const events = await client.events("POST", "/graphs/talk/stream", { input, stream_mode: modes, ...more });
  expect(violationsOf(events)).toEqual([]);
  expect(events[0]?.event).toBe("metadata");
  return events.slice(1, -1);
}
const data = (event: StreamEvent | undefined) => JSON.parse(event?.data ?? "null");
const names = (events: StreamEvent[]) => [...new Set(events.map((event) => event.event))];

test("values: the whole state after the input and after each step, messages as flat objects", async () => {
  const events = await talk("values");
  expect(names(events)).toEqual(["values"]);
  expect(events.map((event) => data(event).messages.length)).toEqual([1, 2, 3]);
  expect(data(events.at(-1)).messages).toMatchObject([
    { type: "human", content: "hi" },
    { type: expect.stringMatching(/^ai|^AIMessageChunk$/), content: "The quick fox" },
    { type: "ai", content: "Goodbye", id: "closing" },
  ]);
  expect(events.at(-1)?.data).not.toContain('"lc"');
});

test("updates: one event per finished node", async () => {
  const events = await talk("updates");
  expect(events.map((event) => Object.keys(data(event)))).toEqual([["inner"], ["close"]]);
});

test("messages-tuple: each token with its metadata, as event messages", async () => {
  const events = await talk("messages-tuple");
  expect(names(events)).toEqual(["messages"]);
  const tokens = events.map(data).filter(([message]) => message.type === "AIMessageChunk" && message.content !== "");
  expect(tokens.map(([message]) => message.content)).toEqual(["The ", "quick ", "fox"]);
  expect(new Set(tokens.map(([message]) => message.id)).size).toBe(1);
  expect(tokens[0][1]).toMatchObject({
    langgraph_node: "speak",
    langgraph_step: expect.any(Number),
    langgraph_checkpoint_ns: expect.any(String),
  });
  expect(Object.keys(tokens[0][1]).filter((key) => key.startsWith("__"))).toEqual([]);
});

test("messages: metadata once, then the message so far, then complete ones", async () => {
  const events = await talk("messages");
  expect(names(events)).toEqual(expect.arrayContaining(["messages/metadata", "messages/partial", "messages/complete"]));
  const partial = events.filter((event) => event.event === "messages/partial").map((event) => data(event)[0].content);
  expect(partial).toEqual(expect.arrayContaining(["The ", "The quick ", "The quick fox"]));
  const closing = events.find((event) => event.event === "messages/complete" && data(event)[0].id === "closing");
  expect(data(closing)[0].content).toBe("Goodbye");
});

test("custom: what a node writes, as it is", async () => {
  const events = await talk("custom");
  expect(events.map(data)).toEqual([{ speaking: true }]);
});

test("tasks: start and result of each", async () => {
  const events = await talk("tasks");
  const byName = events.map(data).map((task) => [task.name, "result" in task ? "result" : "start"]);
  expect(byName).toEqual([
    ["inner", "start"],
    ["inner", "result"],
    ["close", "start"],
    ["close", "result"],
  ]);
});

test("checkpoints: each with its address, and nothing internal", async () => {
  const events = await talk("checkpoints");
  expect(names(events)).toEqual(["checkpoints"]);
  const last = data(events.at(-1));
  expect(last).toMatchObject({
    next: [],
    values: { messages: expect.any(Array) },
    checkpoint: { checkpoint_id: expect.any(String), checkpoint_ns: "" },
    parent_checkpoint: { checkpoint_id: expect.any(String) },
  });
  for (const event of events) expect(event.data).not.toMatch(/__pregel_(?!pull|push)|callbacks/);
});

test("debug: checkpoints and tasks with step and time", async () => {
  const events = await talk("debug");
  expect([...new Set(events.map((event) => data(event).type))].sort()).toEqual(["checkpoint", "task", "task_result"]);
  for (const event of events) expect(event.data).not.toMatch(/__pregel_(?!pull|push)|callbacks/);
});

test("events: LangChain's events, with other modes beside them", async () => {
  const events = await talk(["events", "values"]);
  const kinds = new Set(events.filter((event) => event.event === "events").map((event) => data(event).event));
  expect([...kinds]).toEqual(expect.arrayContaining(["on_chain_start", "on_chat_model_stream", "on_chain_end"]));
  expect(events.filter((event) => event.event === "values").length).toBe(3);
});

test("subgraphs: names carry the path of the subgraph, roots stay bare", async () => {
  const events = await talk(["values", "updates", "custom", "tasks"], { stream_subgraphs: true });
  for (const mode of ["values", "updates", "custom", "tasks"]) {
    expect(events.some((event) => new RegExp(`^${mode}\\|inner:[0-9a-f-]+$`).test(event.event))).toBe(true);
  }
  expect(names(events)).toEqual(expect.arrayContaining(["values", "updates", "tasks"]));
});

test("an interrupt shows in updates and values", async () => {
  const events = await client.events("POST", "/graphs/ask/stream", {
    input: { question: "why" },
    stream_mode: ["values", "updates"],
  });
  const interrupts = events.filter((event) => event.data.includes("__interrupt__"));
  expect(names(interrupts).sort()).toEqual(["updates", "values"]);
  expect(data(interrupts[0]).__interrupt__).toEqual([
    { id: expect.stringMatching(/^[0-9a-f]{32}$/), value: { question: "why" } },
  ]);
  expect(data(events.at(-1)).status).toBe("success");
});

test("a failing run ends with error, then end", async () => {
  const events = await client.events("POST", "/graphs/echo/stream", { input: { fail: "boom" } });
  expect(events.slice(-2).map((event) => event.event)).toEqual(["error", "end"]);
  expect(data(events.at(-2))).toEqual({ error: "TypeError", message: "boom" });
  expect(data(events.at(-1)).status).toBe("error");
});

test("data is always one line of JSON", async () => {
  const events = await client.events("POST", "/graphs/echo/stream", {
    input: { value: "line\nbreak\r\u2028" },
    stream_mode: ["values"],
  });
  expect(data(events.findLast((event) => event.event === "values")).value).toBe("line\nbreak\r\u2028");
});
