import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { effect } from "./side-log.ts";

const State = Annotation.Root({
  inputs: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
  log: Annotation<number[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
  steps: Annotation<number>(),
  delay_ms: Annotation<number>(),
});

async function step(state: typeof State.State, config: LangGraphRunnableConfig) {
  const n = state.log.length + 1;
  effect({ run: config.configurable?.["run_id"], step: n });
  config.writer?.({ step: n });
  await delay(state.delay_ms ?? 5, undefined, { signal: config.signal });
  return { log: [n] };
}

/** Input `{inputs: [text], steps?, delay_ms?}`; each super-step appends its number to `log`. */
export const graph = new StateGraph(State)
  .addNode("step", step)
  .addEdge(START, "step")
  .addConditionalEdges("step", (state) => (state.log.length % (state.steps ?? 20) === 0 ? END : "step"), ["step", END])
  .compile();

/** The same with a recursion limit of its own. */
export const patient = graph.withConfig({ recursionLimit: 60 });
