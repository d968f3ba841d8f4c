import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

const SleepState = Annotation.Root({ seconds: Annotation(), ticks: Annotation(), done: Annotation() });

/** Waits as long as it is told, as for a slow model; then emits so many custom events. */
async function nap({ seconds, ticks }, config) {
  await delay((seconds ?? 1) * 1000);
  for (let tick = 0; tick < (ticks ?? 0); tick++) config.writer({ tick });
  return { done: true };
}

export const graph = new StateGraph(SleepState).addNode("nap", nap).addEdge(START, "nap").addEdge("nap", END).compile();
