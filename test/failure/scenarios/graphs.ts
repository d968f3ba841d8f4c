import { setTimeout as delay } from "node:timers/promises";
import { Annotation, Command, END, interrupt, Send, START, StateGraph } from "@langchain/langgraph";

// Small graphs that together use every way in which a run can begin, stop and go on. Each node adds its name to `log`, so
// that whatever is lost or done twice shows in the final state.

const State = Annotation.Root({ log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }) });

/** With SIGTERM_AT, the process is told to go while this node works: the run is handed over after this step. */
function begin(name: string): void {
  if (process.env["SIGTERM_AT"] === name) process.kill(process.pid, "SIGTERM");
}

const work = (name: string) => async () => {
  begin(name);
  await delay(10);
  return { log: [name] };
};
const ask =
  (name: string, afterMs = 12) =>
  async () => {
    begin(name);
    await delay(afterMs);
    return { log: [`${name}=${interrupt(`q-${name}`)}`] };
  };

export const abc = new StateGraph(State)
  .addNode("a", work("a"))
  .addNode("b", work("b"))
  .addNode("c", work("c"))
  .addEdge(START, "a")
  .addEdge("a", "b")
  .addEdge("b", "c")
  .addEdge("c", END)
  .compile();

const fail = async () => {
  await delay(10);
  throw new Error("this node fails");
};

export const fails = new StateGraph(State)
  .addNode("a", work("a"))
  .addNode("b", fail)
  .addEdge(START, "a")
  .addEdge("a", "b")
  .addEdge("b", END)
  .compile();

export const failsLate = new StateGraph(State)
  .addNode("n1", ask("n1"))
  .addNode("b", fail)
  .addEdge(START, "n1")
  .addEdge("n1", "b")
  .addEdge("b", END)
  .compile();

export const questions = new StateGraph(State)
  .addNode("a", work("a"))
  .addNode("n1", ask("n1"))
  .addNode("b", work("b"))
  .addNode("n2", ask("n2"))
  .addNode("c", work("c"))
  .addEdge(START, "a")
  .addEdge("a", "n1")
  .addEdge("n1", "b")
  .addEdge("b", "n2")
  .addEdge("n2", "c")
  .addEdge("c", END)
  .compile();

/** Two questions in one node, one after the other. */
export const twoInOne = new StateGraph(State)
  .addNode("a", work("a"))
  .addNode("n", async () => {
    await delay(12);
    const first = interrupt<unknown, string>("q1");
    await delay(12);
    const second = interrupt<unknown, string>("q2");
    return { log: [`n=${first}/${second}`] };
  })
  .addNode("c", work("c"))
  .addEdge(START, "a")
  .addEdge("a", "n")
  .addEdge("n", "c")
  .addEdge("c", END)
  .compile();

/** Two questions and one piece of work in one step. */
export const sideBySide = new StateGraph(State)
  .addNode("A", ask("A"))
  .addNode("B", ask("B"))
  .addNode("F", work("F"))
  .addNode("z", work("z"))
  .addEdge(START, "A")
  .addEdge(START, "B")
  .addEdge(START, "F")
  .addEdge(["A", "B", "F"], "z")
  .addEdge("z", END)
  .compile();

/** Of two questions in one step, one comes when the other has been stored. */
export const oneAsksLate = new StateGraph(State)
  .addNode("A", ask("A"))
  .addNode("B", ask("B", 45))
  .addNode("z", work("z"))
  .addEdge(START, "A")
  .addEdge(START, "B")
  .addEdge(["A", "B"], "z")
  .addEdge("z", END)
  .compile();

const inner = new StateGraph(State)
  .addNode("s1", ask("s1"))
  .addNode("m", work("m"))
  .addNode("s2", ask("s2"))
  .addEdge(START, "s1")
  .addEdge("s1", "m")
  .addEdge("m", "s2")
  .addEdge("s2", END)
  .compile();

/** Questions in a subgraph. */
export const nested = new StateGraph(State)
  .addNode("a", work("a"))
  .addNode("S", inner)
  .addNode("c", work("c"))
  .addEdge(START, "a")
  .addEdge("a", "S")
  .addEdge("S", "c")
  .addEdge("c", END)
  .compile();

/** Five tasks of one node, which end one after the other. */
export const sends = new StateGraph(State)
  .addNode("p", work("p"))
  .addNode("w", async ({ i }: { i: number }) => {
    await delay(i * 8);
    return { log: [`w${i}`] };
  })
  .addNode("z", work("z"))
  .addEdge(START, "p")
  .addConditionalEdges("p", () => [1, 2, 3, 4, 5].map((i) => new Send("w", { i })), ["w"])
  .addEdge("w", "z")
  .addEdge("z", END)
  .compile();

/** Ends at once; the other nodes are reached by `goto` only. */
export const jumps = new StateGraph(State)
  .addNode("a", () => new Command({ update: { log: ["a"] }, goto: END }), { ends: ["x", "n", END] })
  .addNode("x", work("x"))
  .addNode("n", ask("n"))
  .addNode("y", work("y"))
  .addEdge(START, "a")
  .addEdge("n", "y")
  .addEdge("x", "y")
  .addEdge("y", END)
  .compile();
