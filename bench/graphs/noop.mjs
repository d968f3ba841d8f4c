import { END, START, StateGraph } from "@langchain/langgraph";
import { CounterState } from "./counter-state.mjs";

/** One node that does nothing but count: what a run costs by itself. */
export const graph = new StateGraph(CounterState)
  .addNode("only", () => ({ count: 1 }))
  .addEdge(START, "only")
  .addEdge("only", END)
  .compile();
