import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { effect } from "../../graphs/side-log.ts";

const State = Annotation.Root({
  log: Annotation<number[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
  steps: Annotation<number>(),
  delay_ms: Annotation<number>(),
});

/** Goes on when its signal aborts, and says so: what a node of a worker that lost its lease may do at worst. */
async function step(state: typeof State.State, config: LangGraphRunnableConfig) {
  const n = state.log.length + 1;
  effect({ run: config.configurable?.["run_id"], step: n });
  await delay(state.delay_ms);
  config.writer?.({ done: n });
  effect({ run: config.configurable?.["run_id"], done: n });
  return { log: [n] };
}

export const graph = new StateGraph(State)
  .addNode("step", step)
  .addEdge(START, "step")
  .addConditionalEdges("step", (state) => (state.log.length >= state.steps ? END : "step"), ["step", END])
  .compile()
  .withConfig({ recursionLimit: 100 });
