import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { nodeName } from "./node-name";

const State = Annotation.Root({ greeting: Annotation<string>() });

/** TypeScript in a package without "type": "module", with an import without extension: how many projects are written. */
export const graph = new StateGraph(State)
  .addNode(nodeName, () => ({ greeting: "hello" }))
  .addEdge(START, nodeName)
  .addEdge(nodeName, END);
