import { setImmediate as turn } from "node:timers/promises";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({ bytes: Annotation(), chunk_bytes: Annotation() });

/** Streams so many bytes as custom events, as fast as they are taken from it. */
async function flood(state, config) {
  const chunk = "x".repeat(state.chunk_bytes);
  for (let sent = 0, n = 1; sent < state.bytes; sent += state.chunk_bytes, n++) {
    config.writer?.({ n, chunk });
    if (n % 4 === 0) await turn();
  }
  return {};
}

export const graph = new StateGraph(State)
  .addNode("flood", flood)
  .addEdge(START, "flood")
  .addEdge("flood", END)
  .compile();
