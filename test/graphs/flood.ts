import { setImmediate as turn, setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";

const State = Annotation.Root({
  megabytes: Annotation<number>(),
  events: Annotation<number>(),
  pause_ms: Annotation<number>(),
});

/** Writes `megabytes` of custom events in `events` pieces, with a pause after each. */
export const graph = new StateGraph(State)
  .addNode("flood", async (state, config: LangGraphRunnableConfig) => {
    const events = state.events ?? 100;
    const text = "x".repeat(Math.round(((state.megabytes ?? 1) * 1_000_000) / events));
    for (let i = 0; i < events; i++) {
      config.writer?.({ i, text });
      if (state.pause_ms > 0) await delay(state.pause_ms, undefined, { signal: config.signal });
      else if (i % 10 === 9) await turn();
    }
    return {};
  })
  .addEdge(START, "flood")
  .addEdge("flood", END)
  .compile();
