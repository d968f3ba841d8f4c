import { MemorySaver } from "@langchain/langgraph";
import { beforeEach, expect, test } from "vitest";
import { graph } from "./counter.ts";

const config = { configurable: { thread_id: "counter" } };

beforeEach(() => {
  graph.checkpointer = new MemorySaver();
});

test("counts to twenty unless told otherwise, one number for each super-step", async () => {
  const result = await graph.invoke({}, config);
  expect(result).toEqual({ count: 20, log: Array.from({ length: 20 }, (_, at) => at + 1) });
});

test("counts beyond LangGraph's default limit of super-steps", async () => {
  expect((await graph.invoke({ steps: 60 }, config)).count).toBe(60);
});

test("a second run on the thread goes on counting", async () => {
  await graph.invoke({ steps: 2 }, config);
  expect(await graph.invoke({ steps: 3 }, config)).toEqual({ count: 5, log: [1, 2, 3, 4, 5] });
});

test("an aborted run keeps its finished steps, and going on leaves no gap", async () => {
  const stop = new AbortController();
  const steps = graph.stream({ steps: 5, delay_ms: 1 }, { ...config, signal: stop.signal, streamMode: "updates" });
  await expect(async () => {
    for await (const _ of await steps) stop.abort(new Error("stopped"));
  }).rejects.toThrow();
  expect((await graph.invoke(null, config)).log).toEqual([1, 2, 3, 4, 5]);
});

test("steps below one are refused", async () => {
  await expect(graph.invoke({ steps: 0 }, config)).rejects.toThrow("steps");
});
