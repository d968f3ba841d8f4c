import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";
import { effect } from "../../graphs/side-log.ts";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
  deaf: Annotation<boolean>(),
});

const short = (name: string) => (_state: unknown, config: LangGraphRunnableConfig) => {
  effect({ run: config.configurable?.["run_id"], node: name });
  return { log: [name] };
};

/** Takes a minute at its first execution and no time at the second. With `deaf` it does not listen to its signal. */
async function long(state: typeof State.State, config: LangGraphRunnableConfig) {
  effect({ run: config.configurable?.["run_id"], node: "long" });
  const isFirst = process.env["SECOND_WORKER"] === undefined;
  if (isFirst) await delay(60_000, undefined, state.deaf ? {} : { signal: config.signal });
  return { log: ["long"] };
}

export const graph = new StateGraph(State)
  .addNode("before", short("before"))
  .addNode("long", long)
  .addNode("after", short("after"))
  .addEdge(START, "before")
  .addEdge("before", "long")
  .addEdge("long", "after")
  .addEdge("after", END)
  .compile();
