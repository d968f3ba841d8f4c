import type { ClaimedRun } from "@flotilla/shared/runs/run";
import { graphConfigOf, type GraphConfigOfRun } from "@flotilla/shared/runs/configurable";
import { durabilityOf } from "./run-input.ts";

/** What LangGraph's `stream` is called with, besides modes, signal and control. Pure. */
export interface RunConfig extends GraphConfigOfRun {
  interruptBefore?: "*" | string[];
  interruptAfter?: "*" | string[];
  durability: "sync" | "async" | "exit";
  runId: string;
}

/** The graph's config for the run, from a checkpoint on where one is given, and how it is to be executed. */
export function toRunConfig(run: ClaimedRun, checkpointId: string | undefined): RunConfig {
  const { checkpoint_map, interrupt_before, interrupt_after } = run.kwargs;
  const { configurable, ...config } = graphConfigOf(run);
  return {
    ...config,
    configurable: {
      ...configurable,
      ...(checkpointId === undefined ? {} : { checkpoint_id: checkpointId }),
      ...(checkpointId === undefined || checkpoint_map === undefined ? {} : { checkpoint_map }),
    },
    ...(interrupt_before === undefined ? {} : { interruptBefore: interrupt_before }),
    ...(interrupt_after === undefined ? {} : { interruptAfter: interrupt_after }),
    durability: durabilityOf(run),
    runId: run.run_id,
  };
}
