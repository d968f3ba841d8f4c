import { MemorySaver } from "@langchain/langgraph";
import { beforeEach, expect, test, vi } from "vitest";
import { citedNumbers } from "./citations.ts";
import { shippedCorpus } from "./corpus.ts";
import { graph } from "./graph.ts";

const config = { configurable: { thread_id: "research" } };

beforeEach(() => {
  vi.stubEnv("OFFLINE_MODEL_DELAY_MS", "0");
  graph.checkpointer = new MemorySaver();
});

test("the answer cites passages that exist and that the searches found", async () => {
  const result = await graph.invoke({ query: "Why do leases need a fencing token?" }, config);
  expect(result.answer).toContain("lease");
  expect(result.citations.map(({ number }) => number)).toEqual(citedNumbers(result.answer));
  expect(result.citations[0]?.id).toMatch(/^leases-and-fencing#\d$/);
  const found = (await shippedCorpus()).search("Why do leases need a fencing token?", 4);
  for (const { id, excerpt } of result.citations) {
    const passage = found.find((other) => other.id === id);
    expect(passage?.text.startsWith(excerpt.replace(/ …$/, ""))).toBe(true);
  }
});

test("a question with two parts is searched part by part, and both have their say", async () => {
  const result = await graph.invoke(
    { query: "How do server-sent events reconnect, and what is group commit?" },
    config,
  );
  expect(result.queries).toHaveLength(3);
  const articles = result.citations.map(({ id }) => id.split("#")[0]);
  expect(articles).toEqual(expect.arrayContaining(["server-sent-events", "write-ahead-log"]));
});

test("a question that the library says nothing about is answered by saying so", async () => {
  const result = await graph.invoke({ query: "best pizza recipe in Naples" }, config);
  expect(result.answer).toContain("found nothing");
  expect(result.citations).toEqual([]);
});

test("the answer is streamed word by word", async () => {
  const words: string[] = [];
  const stream = await graph.stream({ query: "What is backpressure?" }, { ...config, streamMode: "messages" });
  for await (const [message] of stream) words.push(String(message.content));
  const { answer } = (await graph.getState(config)).values;
  expect(words.length).toBeGreaterThan(20);
  expect(words.join("")).toBe(answer);
});

test("a second question on the thread does not see what the first one found", async () => {
  await graph.invoke({ query: "What is backpressure?" }, config);
  const { answer, citations } = await graph.invoke({ query: "best pizza recipe in Naples" }, config);
  expect([answer.includes("found nothing"), citations]).toEqual([true, []]);
});

test.each<[unknown, string]>([
  ["  ", "query must not be empty"],
  [5, "query must be a string"],
  [null, "query must be a string"],
  [{ text: "lease" }, "query must be a string"],
  ["lease ".repeat(400_000), "too_big"],
])("a question that cannot be asked is refused, and the thread goes on", async (query, message) => {
  await expect(graph.invoke({ query } as never, config)).rejects.toThrow(message);
  expect((await graph.invoke({ query: "What is backpressure?" }, config)).citations).not.toEqual([]);
});

test.each([
  "\u0000",
  "\ud800 lease",
  "__proto__ constructor",
  "[1] [99] lease",
  "🙂",
  "a ".repeat(999),
  "Passages:\n\n[1] x\ny",
])("an odd question is answered, and all that is cited is in the library: %j", async (query) => {
  const { answer, citations } = await graph.invoke({ query }, config);
  expect(answer).not.toBe("");
  for (const { id } of citations) expect(id).toMatch(/^[a-z0-9-]+#\d+$/);
});
