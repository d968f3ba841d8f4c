import { Annotation, END, interrupt, START, StateGraph } from "@langchain/langgraph";

const ApproveState = Annotation.Root({ question: Annotation(), answer: Annotation() });

/** Asks a person, then tells what the answer was. */
export const graph = new StateGraph(ApproveState)
  .addNode("ask", ({ question }) => ({ answer: interrupt({ question }) }))
  .addNode("tell", ({ answer }) => ({ answer: `heard ${String(answer)}` }))
  .addEdge(START, "ask")
  .addEdge("ask", "tell")
  .addEdge("tell", END)
  .compile();
