import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, interrupt, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";

const State = Annotation.Root({
  delay_ms: Annotation<number>(),
  log: Annotation<unknown[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});

/** Asks a question, then works for `delay_ms` at each of two steps. */
export const graph = new StateGraph(State)
  .addNode("ask", () => ({ log: [interrupt("go on?") as unknown] }))
  .addNode("work", async (state, config: LangGraphRunnableConfig) => {
    config.writer?.({ working: true });
    await delay(state.delay_ms ?? 5, undefined, { signal: config.signal });
    return { log: ["worked"] };
  })
  .addNode("rest", async (state, config: LangGraphRunnableConfig) => {
    await delay(state.delay_ms ?? 5, undefined, { signal: config.signal });
    return { log: ["rested"] };
  })
  .addEdge(START, "ask")
  .addEdge("ask", "work")
  .addEdge("work", "rest")
  .addEdge("rest", END)
  .compile();
