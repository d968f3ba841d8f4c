import { afterEach, expect, test } from "vitest";
import { Annotation, END, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { setHost, type OnceHost, type TaskConfig } from "./host.ts";
import { once } from "./once.ts";

afterEach(() => setHost(undefined));

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("without a server it calls the function, under a new key each time, and gives back what that gives", async () => {
  const date = new Date();
  const keys: string[] = [];
  const call = () => once("mail", ({ idempotencyKey, signal }) => (keys.push(idempotencyKey), [date, signal.aborted]));
  expect(await call()).toEqual([date, false]);
  expect(await call()).toEqual([date, false]);
  expect(new Set(keys).size).toBe(2);
  for (const key of keys) expect(key).toMatch(UUID);
  await expect(once("mail", () => Promise.reject(new Error("no connection")))).rejects.toThrow("no connection");
});

test("in a node that is tried again elsewhere the key is the same, and another one in the next step", async () => {
  const seen: string[] = [];
  const State = Annotation.Root({ n: Annotation<number>() });
  const graph = new StateGraph(State)
    .addNode(
      "pay",
      async ({ n }) => {
        seen.push(await once("pay", ({ idempotencyKey }) => idempotencyKey));
        if (seen.length === 1) throw new Error("once more");
        return { n: n + 1 };
      },
      { retryPolicy: { maxAttempts: 2, initialInterval: 1, logWarning: false } },
    )
    .addEdge(START, "pay")
    .addConditionalEdges("pay", ({ n }) => (n < 2 ? "pay" : END), ["pay", END])
    .compile({ checkpointer: new MemorySaver() });
  await graph.invoke({ n: 0 }, { configurable: { thread_id: "t" } });
  expect(seen.length).toBe(3);
  expect(seen[0]).toBe(seen[1]);
  expect(seen[2]).not.toBe(seen[1]);
});

test("where there is a server, it is asked, with the config of the node or the one that was given", async () => {
  const asked: (TaskConfig | undefined)[] = [];
  const host: OnceHost = {
    once: (_key, _fn, config) => {
      asked.push(config);
      return Promise.resolve("stored");
    },
  };
  setHost(host);
  const own: TaskConfig = { configurable: { run_id: "r" } };
  expect(await once("a", () => "called", own)).toBe("stored");
  expect(await once("a", () => "called")).toBe("stored");
  expect(asked).toEqual([own, undefined]);
});

test.each(["", "x".repeat(256), "a\0b", "line\nbreak", "half \ud83d", 5, undefined, null, {}])(
  "%j is no key",
  async (key) => {
    await expect(once(key as string, () => expect.unreachable())).rejects.toThrow(TypeError);
  },
);

test.each(["x", "x".repeat(255), "charge:1042/1", "grüße 🎉"])("%j is a key", async (key) => {
  expect(await once(key, () => "called")).toBe("called");
});
