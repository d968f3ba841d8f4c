import { type AIMessageChunk, HumanMessage } from "@langchain/core/messages";
import { concat } from "@langchain/core/utils/stream";
import { expect, test } from "vitest";
import { OfflineChatModel } from "./offline-model.ts";

const echo = new OfflineChatModel({ reply: (messages) => ({ text: `You said: ${messages.at(-1)?.text ?? ""}` }) });
const caller = new OfflineChatModel({
  reply: (_, tools) => ({ toolCalls: tools.map((name) => ({ name, args: { city: "Oslo", days: 3 } })) }),
});
const tool = { name: "forecast", description: "", schema: { type: "object", properties: {} } };

test("the same messages give the same reply under the same id, others another id", async () => {
  const [first, again, other] = await Promise.all(
    ["hi", "hi", "ho"].map((text) => echo.invoke([new HumanMessage(text)])),
  );
  expect(first?.id).toBe(again?.id);
  expect(first?.text).toBe("You said: hi");
  expect(other?.id).not.toBe(first?.id);
});

test("all chunks of a stream carry one id and join to what invoke returns", async () => {
  const chunks: AIMessageChunk[] = [];
  for await (const chunk of await echo.stream("one two three")) chunks.push(chunk);
  expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
  expect(chunks.map(({ text }) => text)).toEqual(["You", " said:", " one", " two", " three", ""]);
  const whole = chunks.reduce((left, right) => concat(left, right));
  expect(whole.usage_metadata).toMatchObject({ output_tokens: 5 });
});

test("a call of a bound tool comes in chunks and is put together", async () => {
  const bound = caller.bindTools([tool]);
  const chunks: AIMessageChunk[] = [];
  for await (const chunk of await bound.stream("weather?")) chunks.push(chunk);
  expect(chunks.filter((chunk) => (chunk.tool_call_chunks?.length ?? 0) > 0)).toHaveLength(3);
  const whole = await bound.invoke("weather?");
  expect(whole.tool_calls).toMatchObject([
    { name: "forecast", args: { city: "Oslo", days: 3 }, id: `call-${whole.id}-0` },
  ]);
});

test("an abort ends the stream between two words", async () => {
  const stop = new AbortController();
  const slow = new OfflineChatModel({ reply: () => ({ text: "a b c d e f" }), tokenDelayMs: 5 });
  const words: string[] = [];
  await expect(async () => {
    for await (const chunk of await slow.stream("go", { signal: stop.signal })) {
      words.push(chunk.text);
      if (words.length === 2) stop.abort();
    }
  }).rejects.toThrow();
  expect(words.length).toBeLessThan(4);
});
