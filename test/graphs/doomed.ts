import { existsSync } from "node:fs";
import { Annotation, END, interrupt, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { effect } from "./side-log.ts";

const State = Annotation.Root({
  inputs: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
  log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});

/**
 * While the file DOOM is there: takes the process down that has the run to itself, after saying too much; hangs in one with others,
 * whose death is the test's.
 */
async function fall(_state: typeof State.State, config: LangGraphRunnableConfig) {
  effect({ run: String(config.configurable?.["run_id"]), node: "fall" });
  if (existsSync(process.env["DOOM"] ?? "")) {
    if (process.env["FLOTILLA_SOLO_RUN"] === undefined) await new Promise(() => {});
    console.log("to stdout: about to fall");
    console.error(`to stderr: the database is ${process.env["DATABASE_URL"]}`);
    process.kill(process.pid, "SIGKILL");
  }
  return { log: ["fell"] };
}

/** Asks, and is doomed once it has its answer. */
export const asking = new StateGraph(State)
  .addNode("ask", async (state: typeof State.State, config: LangGraphRunnableConfig) => {
    const answer = String(interrupt("shall I?"));
    return { log: [answer, ...(await fall(state, config)).log] };
  })
  .addEdge(START, "ask")
  .addEdge("ask", END)
  .compile();

/** Its first step is stored; the second one is deadly. */
export const graph = new StateGraph(State)
  .addNode("walk", (_state: typeof State.State, config: LangGraphRunnableConfig) => {
    effect({ run: String(config.configurable?.["run_id"]), node: "walk" });
    return { log: ["walked"] };
  })
  .addNode("fall", fall)
  .addEdge(START, "walk")
  .addEdge("walk", "fall")
  .addEdge("fall", END)
  .compile();
