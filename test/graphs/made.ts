import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";

const State = Annotation.Root({ said: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }) });

/** A factory: its one node is named after the model that the caller's config names. */
export function graph(config: LangGraphRunnableConfig) {
  const model = ((config.configurable as Record<string, unknown>)["model"] as string | undefined) ?? "standard";
  return new StateGraph(State)
    .addNode(model, () => ({ said: [model] }))
    .addEdge(START, model)
    .addEdge(model, END);
}

/** A factory that never makes a graph, with an error that looks like one of the network. */
export function unmade(): never {
  throw Object.assign(new Error("no key for the model"), { code: "ECONNREFUSED" });
}
