import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { effect } from "../../graphs/side-log.ts";

const State = Annotation.Root({ log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }) });

/** At its first execution it waits until its signal aborts, says why and when, and goes on as if nothing had happened. */
async function wait(_state: unknown, config: LangGraphRunnableConfig) {
  const run = config.configurable?.["run_id"];
  effect({ run, node: "wait" });
  if (process.env["SECOND_WORKER"] === undefined) {
    const { reason } = await aborted(config.signal as AbortSignal);
    effect({ run, aborted: (reason as Error).name, at: Date.now() });
    await delay(100);
  }
  return { log: ["waited"] };
}

async function aborted(signal: AbortSignal): Promise<AbortSignal> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  return signal;
}

export const graph = new StateGraph(State)
  .addNode("before", () => ({ log: ["before"] }))
  .addNode("wait", wait)
  .addNode("after", () => ({ log: ["after"] }))
  .addEdge(START, "before")
  .addEdge("before", "wait")
  .addEdge("wait", "after")
  .addEdge("after", END)
  .compile();
