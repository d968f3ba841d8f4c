import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { effect } from "../../graphs/side-log.ts";

const State = Annotation.Root({
  log: Annotation<number[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
  steps: Annotation<number>(),
  delay_ms: Annotation<number>(),
  compute: Annotation<boolean>(),
});

function computeFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/**
 * Goes on when its signal aborts, and says so. With `compute` it does not even give way: a process that is stopped in it and
 * goes on later stores the result before any timer can tell it that its lease is over. Only Postgres can refuse that.
 */
async function takeStep(state: typeof State.State, config: LangGraphRunnableConfig) {
  const n = state.log.length + 1;
  effect({ run: config.configurable?.["run_id"], step: n });
  if (state.compute) computeFor(state.delay_ms);
  else await delay(state.delay_ms);
  config.writer?.({ done: n });
  effect({ run: config.configurable?.["run_id"], done: n });
  return { log: [n] };
}

export const graph = new StateGraph(State)
  .addNode("step", takeStep)
  .addEdge(START, "step")
  .addConditionalEdges("step", (state) => (state.log.length >= state.steps ? END : "step"), ["step", END])
  .compile()
  .withConfig({ recursionLimit: 100 });
