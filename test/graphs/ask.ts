import { Annotation, END, interrupt, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({
  question: Annotation<string>(),
  answers: Annotation<unknown[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});

/** Asks one question and keeps the answer, wrapped, so that a falsy one is seen. */
export const graph = new StateGraph(State)
  .addNode("ask", (state) => ({ answers: [{ got: interrupt({ question: state.question }) as unknown }] }))
  .addEdge(START, "ask")
  .addEdge("ask", END)
  .compile();

const ask = (name: string) => () => ({ answers: [{ [name]: interrupt({ question: name }) as unknown }] });

/** Asks two questions side by side. */
export const both = new StateGraph(State)
  .addNode("left", ask("left"))
  .addNode("right", ask("right"))
  .addEdge(START, "left")
  .addEdge(START, "right")
  .addEdge("left", END)
  .addEdge("right", END)
  .compile();
