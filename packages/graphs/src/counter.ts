import { setTimeout as sleep } from "node:timers/promises";
import { END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { registry } from "@langchain/langgraph/zod";
import { z } from "zod";

/** More than any sensible `steps`: a run counts to the end whatever LangGraph's default limit of 25 says. */
const RECURSION_LIMIT = 10_000;

const Input = z.object({
  steps: z.int().min(1).max(9_000).default(20).describe("How many super-steps to take"),
  delay_ms: z.int().min(0).max(600_000).default(0).describe("Pause inside each super-step, in milliseconds"),
});

const Output = z.object({
  count: z
    .int()
    .describe("Super-steps taken on this thread, over all its runs")
    .register(registry, { default: () => 0 }),
  log: z
    .array(z.int())
    .describe("The number of every super-step, in order: 1, 2, 3, …")
    .register(registry, {
      reducer: { fn: (log: number[], numbers: number[]) => [...log, ...numbers] },
      default: () => [],
    }),
});

/** `steps` counts down, so that a second run on the same thread takes its own steps and goes on counting. */
const State = z.object({ ...Input.shape, ...Output.shape, steps: z.int().describe("Super-steps still to take") });

async function count(state: z.output<typeof State>, config: LangGraphRunnableConfig) {
  await sleep(state.delay_ms, undefined, config.signal === undefined ? {} : { signal: config.signal });
  const number = state.count + 1;
  config.writer?.({ count: number, steps_left: state.steps - 1 });
  return { count: number, log: [number], steps: state.steps - 1 };
}

/**
 * Counts: each super-step adds one to `count` and appends its number to `log`, and nothing else happens anywhere. After
 * any crash, hand-over or cancellation the log must read 1, 2, 3, … without a gap or a repetition.
 */
export const graph = new StateGraph({ state: State, input: Input, output: Output })
  .addNode("count_one", count)
  .addEdge(START, "count_one")
  .addConditionalEdges("count_one", (state) => (state.steps > 0 ? "count_one" : END), ["count_one", END])
  .compile({ name: "counter" })
  .withConfig({ recursionLimit: RECURSION_LIMIT });
