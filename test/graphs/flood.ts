import { setImmediate as turn } from "node:timers/promises";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";

const State = Annotation.Root({
  megabytes: Annotation<number>(),
  events: Annotation<number>(),
  pause_ms: Annotation<number>(),
});

/** Writes `megabytes` of custom events in `events` pieces. */
export const graph = new StateGraph(State)
  .addNode("flood", async (state, config: LangGraphRunnableConfig) => {
    const events = state.events ?? 100;
    const text = "x".repeat(Math.round(((state.megabytes ?? 1) * 1_000_000) / events));
    for (let i = 0; i < events; i++) {
      config.writer?.({ i, text });
      if (i % 10 === 9) await turn();
    }
    return {};
  })
  .addEdge(START, "flood")
  .addEdge("flood", END)
  .compile();
