import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";

const State = Annotation.Root({
  rounds: Annotation<number>(),
  done: Annotation<number>({ reducer: (_, b) => b, default: () => 0 }),
});

const inner = new StateGraph(State)
  .addNode("first", async (_state, config: LangGraphRunnableConfig) => {
    config.writer?.({ inside: true });
    await delay(5);
    return {};
  })
  .addNode("second", () => ({}))
  .addEdge(START, "first")
  .addEdge("first", "second")
  .addEdge("second", END)
  .compile({ checkpointer: true });

/** Goes through a subgraph that keeps its state, `rounds` times. LangGraph reads its checkpoint each time. */
export const graph = new StateGraph(State)
  .addNode("inner", inner)
  .addNode("count", (state) => ({ done: state.done + 1 }))
  .addEdge(START, "inner")
  .addEdge("inner", "count")
  .addConditionalEdges("count", (state) => (state.done < (state.rounds ?? 5) ? "inner" : END), ["inner", END])
  .compile();
