import { Annotation, END, interrupt, START, StateGraph } from "@langchain/langgraph";
import { effect } from "./effects.mjs";

const State = Annotation.Root({
  question: Annotation(),
  answers: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }),
  log: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }),
});

const before = () => ({ log: ["before"] });

function ask(state, config) {
  const answer = interrupt({ question: state.question });
  effect({ run: config.configurable?.run_id, answered: state.question });
  return { answers: [answer] };
}

const after = () => ({ log: ["after"] });

/** Asks a person one question and goes on with the answer. */
export const graph = new StateGraph(State)
  .addNode("before", before)
  .addNode("ask", ask)
  .addNode("after", after)
  .addEdge(START, "before")
  .addEdge("before", "ask")
  .addEdge("ask", "after")
  .addEdge("after", END)
  .compile();
