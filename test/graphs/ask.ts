import { Annotation, END, interrupt, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({ question: Annotation<string>(), answer: Annotation<unknown>() });

/** Asks one question and keeps the answer. */
export const graph = new StateGraph(State)
  .addNode("ask", (state) => ({ answer: { got: interrupt({ question: state.question }) as unknown } }))
  .addEdge(START, "ask")
  .addEdge("ask", END)
  .compile();
