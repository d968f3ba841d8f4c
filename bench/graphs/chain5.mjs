import { END, START, StateGraph } from "@langchain/langgraph";
import { CounterState } from "./counter-state.mjs";

const NODES = ["first", "second", "third", "fourth", "fifth"];

/** Five nodes one after the other, each a super-step with its checkpoint. */
const builder = new StateGraph(CounterState);
for (const name of NODES) builder.addNode(name, () => ({ count: 1, trail: [name] }));
NODES.forEach((name, i) => builder.addEdge(i === 0 ? START : NODES[i - 1], name));
builder.addEdge("fifth", END);

export const graph = builder.compile();
