import type { BaseMessage } from "@langchain/core/messages";
import { Command, MemorySaver } from "@langchain/langgraph";
import { beforeEach, expect, test, vi } from "vitest";
import { graph } from "./graph.ts";

interface Result {
  messages: BaseMessage[];
  refunds: Record<string, { order_id: string; amount: number }>;
  __interrupt__?: { id: string; value: Record<string, unknown> }[];
}

let config: { configurable: { thread_id: string } };
let threads = 0;

beforeEach(() => {
  vi.stubEnv("OFFLINE_MODEL_DELAY_MS", "0");
  graph.checkpointer = new MemorySaver();
  config = { configurable: { thread_id: `thread-${(threads += 1)}` } };
});

async function say(content: string, form: object = { role: "user" }): Promise<Result> {
  return (await graph.invoke({ messages: [{ ...form, content }] } as never, config)) as unknown as Result;
}

async function resume(answer: unknown): Promise<Result> {
  return (await graph.invoke(new Command({ resume: answer }), config)) as unknown as Result;
}

const lastWords = ({ messages }: Result) => messages.at(-1)?.text;

test.each([
  ["hello", "Hello"],
  ["where is my order 1042", "Hamburg"],
  ["What's the status of order #1044?", "processing"],
  ["Has ORD-1045 been delivered?", "2025-02-16"],
  ["where is my order", "order number"],
  ["where is order 9999?", "cannot find"],
  ["thanks!", "welcome"],
  ["gibberish", "Which order"],
])("%s is answered with %s", async (question, words) => {
  expect(lastWords(await say(question))).toContain(words);
});

test("messages may be written with a role or with a type", async () => {
  expect(lastWords(await say("hello", { type: "human" }))).toContain("Hello");
  expect(lastWords(await say("hello", { type: "user" }))).toContain("Hello");
});

test("the order of earlier messages is remembered on the thread", async () => {
  await say("I bought something, order 1043");
  expect(lastWords(await say("where is it?"))).toContain("Order 1043");
});

test("a small refund is paid at once, and a second one finds nothing left", async () => {
  const result = await say("please refund order 1043");
  expect(Object.values(result.refunds)).toMatchObject([{ order_id: "1043", amount: 49.9 }]);
  const again = await say("refund order 1043");
  expect(lastWords(again)).toContain("refunded already");
  expect(Object.keys(again.refunds)).toHaveLength(1);
});

test("a refund above 500 waits for approval, and the note is kept", async () => {
  const asked = await say("refund order 1042 because the screen is broken");
  expect(asked.__interrupt__?.[0]?.value).toMatchObject({
    action: "approve_refund",
    order_id: "1042",
    amount: 899,
    reason: "the screen is broken",
  });
  expect(asked.refunds).toEqual({});
  const done = await resume({ approved: true, note: "photo seen" });
  expect(Object.values(done.refunds)).toMatchObject([{ amount: 899, approval_note: "photo seen" }]);
  expect(lastWords(done)).toContain("899.00 EUR");
});

test("a denied refund pays nothing and tells the customer why", async () => {
  await say("refund order 1042");
  const denied = await resume({ approved: false, note: "outside the return period" });
  expect(denied.refunds).toEqual({});
  expect(lastWords(denied)).toContain("outside the return period");
});

test("an answer without approved is asked for again", async () => {
  await say("refund order 1042");
  expect((await resume("yes")).__interrupt__?.[0]?.value["error"]).toContain("expected object");
  expect(lastWords(await resume({ approved: true }))).toContain("Done");
});

test("words arrive one by one, and tool calls in chunks", async () => {
  const texts: string[] = [];
  let toolCallChunks = 0;
  const input = { messages: [{ role: "user", content: "track order 1042" }] };
  for await (const [message] of await graph.stream(input as never, { ...config, streamMode: "messages" })) {
    const chunk = message as unknown as BaseMessage & { tool_call_chunks?: unknown[] };
    if (chunk.type === "ai" && chunk.text !== "") texts.push(chunk.text);
    toolCallChunks += chunk.tool_call_chunks?.length ?? 0;
  }
  expect(texts.length).toBeGreaterThan(10);
  expect(texts.join("")).toMatch(/^Order 1042 is on its way/);
  expect(toolCallChunks).toBe(3);
});

test("executing the refund step again grants the same refund, not a second one", async () => {
  await say("refund order 1043");
  const history = [];
  for await (const snapshot of graph.getStateHistory(config)) history.push(snapshot);
  const beforeTool = history.find((snapshot) => snapshot.next.includes("use_tool"));
  const again = (await graph.invoke(null, beforeTool?.config)) as unknown as Result;
  expect(Object.keys(again.refunds)).toHaveLength(1);
  expect(again.messages.filter((message) => message.type === "tool")).toHaveLength(1);
});
