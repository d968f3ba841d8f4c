import { randomUUID } from "node:crypto";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { RemoteGraph } from "@langchain/langgraph/remote";

const State = Annotation.Root({
  inputs: Annotation<string[]>(),
  steps: Annotation<number>(),
  delay_ms: Annotation<number>(),
  /** The thread of the remote run: this run's own, one of its own, or none. */
  on: Annotation<"same" | "other" | "none">(),
  result: Annotation<unknown>(),
});

async function call({ on, ...input }: typeof State.State, config: LangGraphRunnableConfig) {
  const remote = new RemoteGraph({ graphId: "steps", url: process.env["REMOTE_GRAPH_URL"] ?? "" });
  const { thread_id: own, ...configurable } = config.configurable ?? {};
  const thread = on === "same" ? { thread_id: own as string } : on === "other" ? { thread_id: randomUUID() } : {};
  const { callbacks: _callbacks, ...rest } = config;
  const result: unknown = await remote.invoke(input, { ...rest, configurable: { ...configurable, ...thread } });
  return { result };
}

/** Calls `steps` on the server at REMOTE_GRAPH_URL, as a graph calls one of another team. */
export const graph = new StateGraph(State).addNode("call", call).addEdge(START, "call").addEdge("call", END).compile();
