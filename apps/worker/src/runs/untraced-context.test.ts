import { AsyncLocalStorage } from "node:async_hooks";
import { FakeListChatModel } from "@langchain/core/utils/testing";
import { getContextVariable, setContextVariable } from "@langchain/core/context";
import { RunnableLambda, type RunnableConfig } from "@langchain/core/runnables";
import { AsyncLocalStorageProviderSingleton } from "@langchain/core/singletons";
import { Annotation, Command, END, getConfig, interrupt, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { beforeAll, expect, test } from "vitest";
import { useStandIns, useStandInsForGraphs, type ContextProvider } from "./untraced-context.ts";

const provider = AsyncLocalStorageProviderSingleton as unknown as ContextProvider;
const original = provider.runWithConfig.bind(provider);
let madeTrees = 0;

beforeAll(async () => {
  provider.runWithConfig = (config, work, avoidTree) => {
    if (avoidTree !== true) madeTrees++;
    return original(config, work, avoidTree);
  };
  await useStandInsForGraphs(import.meta.filename, { LANGSMITH_TRACING: "true" });
  expect(await original({}, async () => "untouched")).toBe("untouched");
  madeTrees = 0;
  await useStandInsForGraphs(import.meta.filename, {});
  expect(madeTrees).toBe(1); // the probe
});

const State = Annotation.Root({ said: Annotation<string[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }) });
const graphOf = (node: (state: typeof State.State, config: RunnableConfig) => Promise<{ said: string[] }>) =>
  new StateGraph(State).addNode("node", node).addEdge(START, "node").addEdge("node", END);

test("a node finds its config in the context, and no tree is made for it", async () => {
  madeTrees = 0;
  const graph = graphOf(async (_state, config) => ({
    said: [
      String(getConfig().configurable?.["who"]),
      String(getConfig().metadata?.["langgraph_node"]),
      String(config.configurable?.["who"]),
    ],
  })).compile();
  expect(await graph.invoke({ said: [] }, { configurable: { who: "anna" } })).toEqual({
    said: ["anna", "node", "anna"],
  });
  expect(madeTrees).toBe(0);
});

test("tokens of a model that a node calls without a config reach the stream of the run", async () => {
  const model = new FakeListChatModel({ responses: ["three words long"] });
  const graph = graphOf(async () => ({ said: [String((await model.invoke("go")).content)] })).compile();
  const tokens: string[] = [];
  for await (const [message] of await graph.stream({ said: [] }, { streamMode: "messages" }))
    tokens.push(String(message.content));
  expect(tokens.join("")).toBe("three words long");
  expect(tokens.length).toBeGreaterThan(3);
});

test("a question that is asked in a nested call waits for its answer", async () => {
  const ask = RunnableLambda.from(async () => interrupt("really?") as string);
  const graph = graphOf(async () => ({ said: [await ask.invoke({})] })).compile({ checkpointer: new MemorySaver() });
  const config = { configurable: { thread_id: "t" } };
  await graph.invoke({ said: [] }, config);
  expect(await graph.invoke(new Command({ resume: "yes" }), config)).toEqual({ said: ["yes"] });
});

test("context variables of outside are there inside, and those of siblings stay apart", async () => {
  const inner = RunnableLambda.from(async () => getContextVariable<string>("who") ?? "nobody");
  const outer = RunnableLambda.from(async (who: string) => {
    setContextVariable("who", who);
    return inner.invoke({});
  });
  expect(await Promise.all([outer.invoke("a"), outer.invoke("b"), inner.invoke({})])).toEqual(["a", "b", "nobody"]);
});

test("where a tracer is among the callbacks, LangChain does what it always does", () => {
  const storage = new AsyncLocalStorage<object | undefined>();
  let trees = 0;
  const own: ContextProvider = {
    getInstance: () => storage,
    runWithConfig(config, work) {
      trees++;
      return storage.run({ tracingEnabled: false, extra: { [Symbol.for("lc:child_config")]: config } }, work);
    },
  };
  expect(useStandIns(own)).toBe(true);
  trees = 0;
  own.runWithConfig({ callbacks: [{ name: "other" }] }, () => undefined);
  expect(trees).toBe(0);
  own.runWithConfig({ callbacks: [{ name: "langchain_tracer" }] }, () => undefined);
  own.runWithConfig({ callbacks: { handlers: [{ name: "langchain_tracer" }] } }, () => undefined);
  expect(trees).toBe(2);
});

test("a provider that keeps something else in its context is left alone", () => {
  const other: ContextProvider = {
    getInstance: () => ({ getStore: () => ({}), run: (_tree, work) => work() }),
    runWithConfig: (_config, work) => work(),
  };
  const before = other.runWithConfig;
  expect(useStandIns(other)).toBe(false);
  expect(other.runWithConfig).toBe(before);
});
