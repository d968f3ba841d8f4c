import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { effect } from "./effects.mjs";

const State = Annotation.Root({ log: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }) });

/** Takes its process down with it, every time. */
function die(_state, config) {
  effect({ run: config.configurable?.run_id, step: 1 });
  process.kill(process.pid, "SIGKILL");
}

export const graph = new StateGraph(State).addNode("die", die).addEdge(START, "die").addEdge("die", END).compile();
