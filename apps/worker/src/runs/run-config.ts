import type { ClaimedRun } from "@flotilla/shared/runs/run";
import { clientConfigurable } from "@flotilla/shared/runs/configurable";
import { durabilityOf } from "./run-input.ts";

/** What LangGraph's `stream` is called with, besides modes, signal and control. Pure. */
export interface RunConfig {
  configurable: Record<string, unknown>;
  metadata: Record<string, unknown>;
  tags?: string[];
  recursionLimit?: number;
  context?: Record<string, unknown>;
  interruptBefore?: "*" | string[];
  interruptAfter?: "*" | string[];
  durability: "sync" | "async" | "exit";
  runId: string;
}

/**
 * The caller's config with the server's keys last: `thread_id`, `run_id`, `checkpoint_ns` and whatever starts with `__`
 * never come from outside. An omitted recursion limit is left out, so that the graph's own default applies.
 */
export function toRunConfig(run: ClaimedRun, checkpointId: string | undefined): RunConfig {
  const { config = {}, context, checkpoint_map, interrupt_before, interrupt_after } = run.kwargs;
  return {
    configurable: {
      ...clientConfigurable(config.configurable ?? {}),
      ...serverConfigurable(run),
      ...(checkpointId === undefined ? {} : { checkpoint_id: checkpointId }),
      ...(checkpointId === undefined || checkpoint_map === undefined ? {} : { checkpoint_map }),
    },
    metadata: runMetadata(run),
    ...(config.tags === undefined ? {} : { tags: config.tags }),
    ...(config.recursion_limit === undefined ? {} : { recursionLimit: config.recursion_limit }),
    ...(context === undefined ? {} : { context }),
    ...(interrupt_before === undefined ? {} : { interruptBefore: interrupt_before }),
    ...(interrupt_after === undefined ? {} : { interruptAfter: interrupt_after }),
    durability: durabilityOf(run),
    runId: run.run_id,
  };
}

export function serverConfigurable(run: ClaimedRun): Record<string, unknown> {
  return { thread_id: run.thread_id, run_id: run.run_id, graph_id: run.graph_id, assistant_id: run.assistant_id };
}

/** In traces, message metadata and checkpoints: the run's own metadata under what the server says. */
export function runMetadata(run: ClaimedRun): Record<string, unknown> {
  const { run_id: _run, attempt: _attempt, ...metadata } = run.metadata;
  return { ...metadata, thread_id: run.thread_id, graph_id: run.graph_id, assistant_id: run.assistant_id };
}
