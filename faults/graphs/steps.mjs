import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { effect } from "./effects.mjs";

const State = Annotation.Root({
  inputs: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }),
  log: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }),
  /** where the log is to end, in steps from where this run began */
  until: Annotation(),
  steps: Annotation(),
  step_ms: Annotation(),
  compute: Annotation(),
});

const begin = (state) => ({ until: state.log.length + state.steps });

/** With `compute` it blocks the event loop: a process that is stopped in it goes on before any timer can tell it that it is late. */
async function step(state, config) {
  const n = state.log.length + 1;
  const run = config.configurable?.run_id;
  effect({ run, step: n });
  if (state.compute) {
    const end = performance.now() + state.step_ms;
    while (performance.now() < end);
  } else await delay(state.step_ms, undefined, { signal: config.signal });
  effect({ run, done: n });
  return { log: [n] };
}

/** Each super-step appends its number to `log`. Input: `{inputs: [text], steps, step_ms, compute?}`. */
export const graph = new StateGraph(State)
  .addNode("begin", begin)
  .addNode("step", step)
  .addEdge(START, "begin")
  .addEdge("begin", "step")
  .addConditionalEdges("step", (state) => (state.log.length >= state.until ? END : "step"), ["step", END])
  .compile()
  .withConfig({ recursionLimit: 2_000 });
