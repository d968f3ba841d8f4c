import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { effect } from "../../graphs/side-log.ts";
import { readEffects } from "../support/effects.ts";

const State = Annotation.Root({
  log: Annotation<number[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
  /** What the last node does. */
  way: Annotation<"kill" | "kill each step" | "reject" | "throw" | "compute" | "print">(),
  steps: Annotation<number>(),
});

/** One step; `way` says what is wrong with it. */
async function takeStep(state: typeof State.State, config: LangGraphRunnableConfig) {
  const n = state.log.length + 1;
  const run = String(config.configurable?.["run_id"]);
  effect({ run, step: n, solo: process.env["FLOTILLA_SOLO_RUN"] === run });
  if (state.way === "kill") process.kill(process.pid, "SIGKILL");
  if (state.way === "kill each step" && isFirstTime(run, n)) process.kill(process.pid, "SIGKILL");
  if (state.way === "reject") {
    void Promise.reject(new Error("nobody awaits this"));
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  if (state.way === "throw") {
    setTimeout(() => {
      throw new Error("nobody catches this");
    }, 10);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  if (state.way === "compute") computeFor(4_000);
  if (state.way === "print") {
    process.stdout.write(`step ${n}\n`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { log: [n] };
}

/** Whether no process has begun this step before, by the side log: memory dies with the process. */
function isFirstTime(run: string, step: number): boolean {
  return readEffects(process.env["EFFECTS_LOG"] as string, run).filter((one) => one.step === step).length === 1;
}

function computeFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

export const graph = new StateGraph(State)
  .addNode("step", takeStep)
  .addEdge(START, "step")
  .addConditionalEdges("step", (state) => (state.log.length >= (state.steps ?? 1) ? END : "step"), ["step", END])
  .compile();
