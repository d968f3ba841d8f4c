import { isGraphDrained, type StateSnapshot } from "@langchain/langgraph";
import { LeaseLost, RunCancelled, RunTimedOut, ShuttingDown } from "@flotilla/shared/errors";
import type { Settlement, SettleOutcome } from "@flotilla/shared/runs/run-queries";
import type { ClaimedRun, RunError } from "@flotilla/shared/runs/run";
import { toJsonb } from "@flotilla/shared/postgres/jsonb";
import { toWire } from "@flotilla/shared/protocol/wire-value";

/** How an attempt ended, before anything is written about it. */
export type RunOutcome =
  | { kind: "finished" }
  | { kind: "failed"; error: RunError }
  | { kind: "timed_out"; error: RunError }
  | { kind: "cancelled" }
  /** Stopped at a super-step (`drained`), or aborted near the end of the grace period; another worker goes on. */
  | { kind: "handed_over"; reason: string }
  /** Somebody else holds the run, or may soon: nothing more is written. */
  | { kind: "lost" };

/** The outcome of a graph that threw, seen with the reason on the attempt's signal. Pure. */
export function outcomeOf(thrown: unknown, signal: AbortSignal): RunOutcome {
  if (thrown instanceof LeaseLost) return { kind: "lost" };
  if (signal.aborted) {
    const { reason } = signal as { reason: unknown };
    if (reason instanceof LeaseLost) return { kind: "lost" };
    if (reason instanceof RunCancelled) return { kind: "cancelled" };
    if (reason instanceof RunTimedOut) return { kind: "timed_out", error: toRunError(reason) };
    if (reason instanceof ShuttingDown)
      return { kind: "handed_over", reason: "aborted at the end of the grace period" };
    return { kind: "failed", error: toRunError(reason) }; // an unhandled rejection of the run's own code
  }
  if (isGraphDrained(thrown)) return { kind: "handed_over", reason: "drained" };
  return { kind: "failed", error: toRunError(thrown) };
}

/** The class name and the message, never a stack. */
export function toRunError(thrown: unknown): RunError {
  if (!(thrown instanceof Error)) return { error: "Error", message: JSON.stringify(thrown) ?? String(thrown) };
  const { name } = thrown;
  return {
    error: name === "Error" || name === "" ? thrown.constructor.name || "Error" : name,
    message: thrown.message.slice(0, 10_000),
  };
}

/** What is written about the run: the state as clients see it and the questions that wait. */
export function settlementOf(
  outcome: Exclude<RunOutcome, { kind: "lost" }>,
  state: StateSnapshot | undefined,
  checkpointId: string | undefined,
): Settlement {
  const seen: Partial<Settlement> =
    state === undefined
      ? {}
      : {
          values: toWire(state.values),
          interrupts: interruptsOf(state),
          hasNext: state.next.length > 0 || hasQuestions(state),
        };
  const base = { ...seen, checkpointId };
  switch (outcome.kind) {
    case "handed_over": // with the state: a cancel recorded meanwhile ends the run here
      return { ...base, outcome: "handed_over", reason: outcome.reason };
    case "finished":
      return { ...base, outcome: "success" };
    case "failed":
      return { ...base, outcome: "error", error: outcome.error, reason: outcome.error.error };
    case "timed_out":
      return { ...base, outcome: "timeout", error: outcome.error, reason: "timeout" };
    case "cancelled":
      return { ...base, outcome: "interrupted", reason: "cancelled" };
  }
}

/** A larger result is read from the row, in characters: every gateway hears every result. */
const MAX_RESULT = 16_000;

/** What a request that waits for the run is told with its end: what has just been written to the row. JSON text. */
export function resultOf(run: ClaimedRun, settlement: Settlement, settled: SettleOutcome): string | undefined {
  if (run.kwargs.listening !== "result" || settled.outcome !== "settled" || settled.status === "rollback")
    return undefined;
  const { values, interrupts } = settlement;
  if (values === undefined || interrupts === undefined) return undefined;
  const result = toJsonb({
    status: settled.status,
    attempt: run.attempt,
    error: settled.error ?? null,
    values,
    interrupts: Object.values(interrupts).flat(),
  });
  return result.length > MAX_RESULT ? undefined : result;
}

function hasQuestions(state: StateSnapshot): boolean {
  return state.tasks.some((task) => task.interrupts.length > 0 && task.result === undefined);
}

/** Task id → its questions, only tasks that have any. */
function interruptsOf(state: StateSnapshot): Record<string, unknown[]> {
  const open = state.tasks.filter((task) => task.interrupts.length > 0 && task.result === undefined);
  return Object.fromEntries(open.map((task) => [task.id, task.interrupts.map((interrupt) => toWire(interrupt))]));
}
