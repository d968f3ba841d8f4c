import { Command, MemorySaver } from "@langchain/langgraph";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type ChatReply, OpenAiServer, type ToolCallReply } from "../testing/openai-server.ts";
import { graph } from "./graph.ts";
import type { Refund } from "./refund.ts";

// What a model may ask for that the offline one never does: several refunds in one message, odd numbers, ids used twice.

interface Result {
  messages: { type: string; text: string; tool_call_id?: string }[];
  refunds: Record<string, Refund>;
  __interrupt__?: { id: string; value: { order_id: string; amount: number } }[];
}

let server: OpenAiServer;
let replies: ChatReply[];
let config: { configurable: { thread_id: string } };
let threads = 0;

beforeEach(async () => {
  server = new OpenAiServer(() => replies.shift() ?? { text: "That is all." });
  vi.stubEnv("MODEL", "openai:test-model");
  vi.stubEnv("OPENAI_API_KEY", "sk-test-not-a-real-key");
  vi.stubEnv("OPENAI_BASE_URL", await server.start());
  graph.checkpointer = new MemorySaver();
  config = { configurable: { thread_id: `approval-${(threads += 1)}` } };
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await server.stop();
});

/** The customer says something, and the model gives these replies, one after another. */
async function turn(...modelReplies: ChatReply[]): Promise<Result> {
  replies = modelReplies;
  const input = { messages: [{ role: "user", content: "please" }] };
  return (await graph.invoke(input as never, config)) as unknown as Result;
}

async function resume(answers: unknown): Promise<Result> {
  return (await graph.invoke(new Command({ resume: answers }), config)) as unknown as Result;
}

const refund = (orderId: unknown, amount?: unknown, id?: string): ToolCallReply => ({
  name: "refund_order",
  args: JSON.stringify({ order_id: orderId, amount }),
  ...(id !== undefined && { id }),
});

const amounts = ({ refunds }: Result) => Object.values(refunds).map(({ amount }) => amount);
const results = ({ messages }: Result) =>
  messages.filter(({ type }) => type === "tool").map(({ text }) => JSON.parse(text) as { error?: string });

test.each(["1042", "#1042", "ORD-1042", "10 42", "order no. 1042"])(
  "two refunds of one order in one message are one refund, the second written %s",
  async (other) => {
    const result = await turn({ calls: [refund("1042", 500, "a"), refund(other, 500, "b")] });
    expect(amounts(result)).toEqual([500]);
    expect(results(result).map(({ error }) => error)).toEqual([undefined, "refund_in_progress"]);
    expect((await turn({ call: refund(other, 0.01, "c") })).__interrupt__).toHaveLength(1);
  },
);

test("each large refund of a message is a question of its own: approving one does not approve the other", async () => {
  const asked = await turn({ calls: [refund("1042", 899, "a"), refund("1044", 640, "b"), refund("1043", 49.9, "c")] });
  expect(asked.__interrupt__?.map(({ value }) => value.order_id)).toEqual(["1042", "1044"]);
  const [first, second] = asked.__interrupt__ ?? [];

  const half = await resume({ [second?.id ?? ""]: { approved: true } });
  expect(half.__interrupt__).toMatchObject([{ id: first?.id, value: { order_id: "1042", amount: 899 } }]);
  const done = await resume({ [first?.id ?? ""]: { approved: false } });
  expect(Object.keys(done.refunds).sort()).toEqual(["1043/1", "1044/1"]);
});

test("tool calls and messages under ids that were used before hide no earlier refund", async () => {
  await turn({ call: refund("1042", 500, "call_0"), messageId: "chatcmpl-0" });
  const asked = await turn({ call: refund("1042", 399, "call_0"), messageId: "chatcmpl-0" });
  expect(asked.__interrupt__).toMatchObject([{ value: { amount: 399, already_refunded: 500 } }]);
  const done = await resume({ approved: true });
  expect(amounts(done)).toEqual([500, 399]);
  expect(results(done)).toHaveLength(2);
});

test("two orders that are refunded under one tool call id are both on record", async () => {
  const result = await turn({ calls: [refund("1043", 49.9, "same"), refund("1045", 499, "same")] });
  expect(amounts(result)).toEqual([49.9, 499]);
  const again = await turn({ calls: [refund("1043", 49.9, "same"), refund("1045", 499, "same")] });
  expect(amounts(again)).toEqual([49.9, 499]);
});

test("a conversation that loses its messages keeps its refunds", async () => {
  await turn({ call: refund("1042", 500) });
  replies = [{ call: refund("1042", 399) }];
  const wiped = {
    messages: [
      { type: "remove", id: "__remove_all__" },
      { role: "user", content: "refund" },
    ],
  };
  const asked = (await graph.invoke(wiped as never, config)) as unknown as Result;
  expect(asked.__interrupt__).toMatchObject([{ value: { amount: 399, already_refunded: 500 } }]);
});

test.each<[string, unknown, unknown]>([
  ["a negative amount", "1042", -500],
  ["nothing", "1042", 0],
  ["parts of a cent", "1042", 0.004],
  ["text for an amount", "1042", "500"],
  ["null", "1042", null],
  ["more than the order", "1042", 899.01],
  ["an endless amount", "1042", 1e308],
  ["an order number that is no text", 1042, 500],
  ["an order number that is a list", ["1042"], 500],
  ["an order number that cannot be text", { toString: 1 }, 500],
  ["two orders in one", "1042, 1045", 500],
])("%s is refused, and the model is told", async (_, orderId, amount) => {
  const result = await turn({ call: refund(orderId, amount) });
  expect(result.__interrupt__).toBeUndefined();
  expect(result.refunds).toEqual({});
  expect(results(result)[0]?.error).toMatch(/^(?:invalid_arguments|more_than_refundable|order_not_found)$/);
});

test.each(['{"order_id":"1042","amount":NaN}', '{"order_id":"1042","amount":Infinity}', "{", "null", "7", "[]"])(
  "arguments that are no JSON object, %s, pay nothing and end no conversation",
  async (args) => {
    const result = await turn({ call: { name: "refund_order", args } });
    expect(result.refunds).toEqual({});
    expect((await turn()).messages.at(-1)?.text).toBe("That is all.");
  },
);
