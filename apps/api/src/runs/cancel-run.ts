import { setTimeout as delay } from "node:timers/promises";
import { Conflict, messageOf, NotFound } from "@flotilla/shared/errors";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Failpoint } from "@flotilla/shared/process/failpoints";
import type { Logger } from "@flotilla/shared/process/logger";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import {
  cancelRun as recordCancel,
  deleteEndedRunsOf,
  deleteRun as eraseRun,
  listActiveRuns,
  listActiveRunsOf,
  settleRun,
} from "@flotilla/shared/runs/run-queries";
import { deleteThread as eraseThread } from "@flotilla/shared/threads/thread-queries";
import type { CancelAction } from "@flotilla/shared/runs/run";
import type { ThreadStates } from "../threads/thread-state.ts";
import type { OpenStreams } from "./open-streams.ts";
import type { RunSignals } from "./run-signals.ts";

export interface CancelDeps {
  pool: Pool;
  queue: RunQueue;
  signals: RunSignals;
  states: ThreadStates;
  failpoint: Failpoint;
  logger: Logger;
}

export interface RunAddress {
  tenantId: string;
  threadId: string;
  runId: string;
}

/**
 * Cancels a run: a pending one at once, a running one by asking its worker. Cancelling what has ended changes nothing.
 * @returns whether the run has ended already.
 * @throws NotFound
 */
export async function cancelRun(
  deps: CancelDeps,
  run: RunAddress,
  action: CancelAction,
  reason?: string,
): Promise<boolean> {
  await deps.failpoint("before_cancel");
  const outcome = await recordCancel(deps.pool, { ...run, action, reason });
  await deps.failpoint("after_cancel");
  if (outcome.outcome === "missing")
    throw new NotFound("run", `Run ${run.runId} does not exist on thread "${run.threadId}"`);
  if (outcome.outcome === "asked") deps.signals.cancelled(run.runId, "running");
  if (outcome.outcome === "cancelled") {
    if (outcome.stale) await refreshThread(deps, run);
    deps.signals.cancelled(run.runId, "pending");
    await deps.queue.enqueue(outcome.next);
  }
  return outcome.outcome !== "asked";
}

/**
 * A run that had begun, this one or one before, left a state that nobody has written to the thread's row yet. The cancel is
 * committed: a graph that cannot be used changes nothing about it, and the row stays stale for maintenance to try again.
 */
async function refreshThread({ states, logger }: CancelDeps, { tenantId, threadId, runId }: RunAddress): Promise<void> {
  await states.refreshStale(tenantId, threadId).catch((error: unknown) => {
    logger.warn({ run_id: runId, err: messageOf(error) }, "the state of a run's thread could not be read");
  });
}

/** A client that lost its connection has this long to come back, in ms. */
const ABANDONED_MS = 3_000;

/** Cancels a run whose client went away for good, as it has asked: not while somebody follows it, nor because this gateway goes. */
export async function cancelAbandoned(deps: CancelDeps & { streams: OpenStreams }, run: RunAddress): Promise<void> {
  await delay(ABANDONED_MS, undefined, { ref: false });
  if (deps.streams.isClosing || (await deps.signals.isFollowed(run.runId))) return;
  await cancelRun(deps, run, "interrupt", "the client went away");
}

/** Runs that are looked up at once. */
const PAGE = 200;

/**
 * Cancels the runs of a tenant that are pending, running, or either, as they are when their turn comes. Those that are made
 * meanwhile may be met or not.
 * @returns how many there were.
 */
export async function cancelActiveRuns(
  deps: CancelDeps,
  tenantId: string,
  status: "pending" | "running" | "all",
  action: CancelAction,
): Promise<number> {
  let found = 0;
  for (let afterSeq = "0"; ;) {
    const page = await listActiveRuns(deps.pool, tenantId, { status, afterSeq, limit: PAGE });
    for (const { run_id: runId, thread_id: threadId } of page) {
      await cancelRun(deps, { tenantId, threadId, runId }, action).then(() => found++, ignoreMissing);
    }
    if (page.length < PAGE) return found;
    afterSeq = page.at(-1)?.seq ?? afterSeq;
  }
}

/** Cancels some runs of a thread; those that do not exist are passed over. */
export async function cancelRuns(
  deps: CancelDeps,
  { tenantId, threadId, runIds }: { tenantId: string; threadId: string; runIds: readonly string[] },
  action: CancelAction,
): Promise<number> {
  let found = 0;
  for (const runId of runIds)
    await cancelRun(deps, { tenantId, threadId, runId }, action).then(() => found++, ignoreMissing);
  return found;
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof NotFound)) throw error;
}

/**
 * Erases a run that has ended, with its checkpoints and events.
 * @throws NotFound; Conflict while it is in flight.
 */
export async function deleteRun(deps: CancelDeps, { tenantId, threadId, runId }: RunAddress): Promise<void> {
  const outcome = await eraseRun(deps.pool, tenantId, threadId, runId);
  if (outcome === "missing") throw new NotFound("run", `Run ${runId} does not exist on thread "${threadId}"`);
  if (outcome === "active") throw new Conflict("run_active", `Run ${runId} is active; cancel it first`);
  await refreshThread(deps, { tenantId, threadId, runId });
  await deps.signals.forget([runId]);
}

/** Rows that are deleted at once. */
const BATCH = 1_000;
const BEFORE_ALL_RUNS = "00000000-0000-0000-0000-000000000000";

/**
 * Deletes the rows and events of an assistant's runs, after those in flight have been stopped. The threads and their states stay.
 * @throws Conflict when new runs keep coming.
 */
export async function deleteRunsOf(deps: CancelDeps, tenantId: string, assistantId: string): Promise<void> {
  const deadline = Date.now() + STOP_MS;
  for (let round = 0; ; round++) {
    const active = await listActiveRunsOf(deps.pool, tenantId, assistantId, PAGE);
    if (active.length === 0) break;
    if (round === 200) throw new Conflict("run_active", `Assistant ${assistantId} keeps getting runs; try again`);
    for (const { run_id: runId, thread_id: threadId, status, attempt } of active) {
      await cancelRun(deps, { tenantId, threadId, runId }, "interrupt").catch(ignoreMissing);
      if (status === "running" && Date.now() > deadline)
        await endInPlace(deps, runId, attempt, "the assistant is being deleted");
    }
    await delay(Math.min(10 + round * 10, 200));
  }
  for (let afterRunId = BEFORE_ALL_RUNS; ;) {
    const deleted = await deleteEndedRunsOf(deps.pool, tenantId, assistantId, { afterRunId, limit: BATCH });
    await deps.signals.forget(deleted);
    if (deleted.length < BATCH) return;
    afterRunId = deleted.at(-1) ?? afterRunId;
  }
}

/** How long a run in flight may take to stop before its attempt is ended without its worker, in ms. */
const STOP_MS = 5_000;

/** Ends an attempt whose worker does not answer, which fences that worker. */
async function endInPlace({ pool, queue }: CancelDeps, runId: string, attempt: number, reason: string): Promise<void> {
  const settled = await settleRun(pool, runId, attempt, { outcome: "interrupted", reason });
  if (settled.outcome === "settled") await queue.enqueue(settled.next);
}

/**
 * Erases a thread: its runs, checkpoints and events. What waits is ended with the first try, the run in flight is asked to
 * stop; one whose worker does not answer is ended in its place, which fences that worker.
 * @throws NotFound, Conflict when new runs keep coming.
 */
export async function deleteThread(deps: CancelDeps, tenantId: string, threadId: string): Promise<void> {
  const deadline = Date.now() + STOP_MS;
  for (let round = 0; round < 200; round++) {
    const outcome = await eraseThread(deps.pool, tenantId, threadId);
    if (outcome.outcome === "missing") throw new NotFound("thread", `Thread "${threadId}" does not exist`);
    await deps.queue.enqueue(outcome.next);
    if (outcome.outcome === "deleted") return deps.signals.forget(outcome.run_ids);
    const { run_id: runId, attempt } = outcome.running;
    deps.signals.cancelled(runId, "running");
    if (Date.now() > deadline) {
      await endInPlace(deps, runId, attempt, "the thread is being deleted");
    } else {
      await delay(Math.min(10 + round * 10, 200));
    }
  }
  throw new Conflict("run_active", `Thread "${threadId}" keeps getting runs; try again`);
}
