import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";

const State = Annotation.Root({
  value: Annotation<unknown>(),
  fail: Annotation<string | undefined>(),
  seen: Annotation<Record<string, unknown>>(),
});

/** Keeps its input, shows what of the config a node sees, and fails when asked to. */
export const graph = new StateGraph(State)
  .addNode("echo", (state, config: LangGraphRunnableConfig) => {
    if (state.fail !== undefined) throw new TypeError(state.fail);
    const { configurable = {}, metadata } = config;
    const visible = Object.fromEntries(Object.entries(configurable).filter(([key]) => !key.startsWith("__")));
    return { seen: { configurable: visible, metadata, context: (config as { context?: unknown }).context ?? null } };
  })
  .addEdge(START, "echo")
  .addEdge("echo", END)
  .compile();
