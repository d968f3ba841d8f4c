import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { effect } from "../../graphs/side-log.ts";

const State = Annotation.Root({ log: Annotation<number[]>({ reducer: (a, b) => a.concat(b), default: () => [] }) });

async function takeStep(state: typeof State.State, config: LangGraphRunnableConfig) {
  const n = state.log.length + 1;
  effect({ run: config.configurable?.["run_id"], step: n });
  await delay(30);
  return { log: [n] };
}

/** Takes one short step after the other, to no end, until a second worker takes the last one. */
export const graph = new StateGraph(State)
  .addNode("step", takeStep)
  .addEdge(START, "step")
  .addConditionalEdges("step", () => (process.env["SECOND_WORKER"] === undefined ? "step" : END), ["step", END])
  .compile()
  .withConfig({ recursionLimit: 100_000 });
