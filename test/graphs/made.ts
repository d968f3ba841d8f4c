import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { effect } from "./side-log.ts";

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

/** A factory that notes in the side log what it is called with; its node is named after the team that the config names. */
export async function noted(config: LangGraphRunnableConfig, runtime: unknown) {
  const { configurable = {}, metadata, tags, recursionLimit } = config;
  effect({ configurable, metadata, tags, recursionLimit, context: config.context, runtime });
  const team = (configurable as Record<string, unknown>)["x-team"] ?? "nobody";
  return new StateGraph(State)
    .addNode(String(team), () => ({ said: [`team ${String(team)}`] }))
    .addEdge(START, String(team))
    .addEdge(String(team), END);
}
