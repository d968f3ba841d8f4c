import { Annotation, END, interrupt, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({
  log: Annotation<unknown[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});

const inner = new StateGraph(State)
  .addNode("prepare", () => ({ log: ["prepared"] }))
  .addNode("ask", (state) => ({ log: [`${state.log.length} before`, interrupt("inside?") as unknown] }))
  .addEdge(START, "prepare")
  .addEdge("prepare", "ask")
  .addEdge("ask", END)
  .compile();

/** Asks its question in a subgraph, whose state waits with it. */
export const graph = new StateGraph(State)
  .addNode("begin", () => ({ log: ["begun"] }))
  .addNode("inner", inner)
  .addEdge(START, "begin")
  .addEdge("begin", "inner")
  .addEdge("inner", END)
  .compile();
