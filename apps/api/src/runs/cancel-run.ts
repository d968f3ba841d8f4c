import { setTimeout as delay } from "node:timers/promises";
import { Conflict, NotFound } from "@flotilla/shared/errors";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import { cancelRun as recordCancel, listRuns, settleRun } from "@flotilla/shared/runs/run-queries";
import { deleteThread as eraseThread } from "@flotilla/shared/threads/thread-queries";
import type { CancelAction } from "@flotilla/shared/runs/run";
import type { RunSignals } from "./run-signals.ts";

export interface CancelDeps {
  pool: Pool;
  queue: RunQueue;
  signals: RunSignals;
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
  const outcome = await recordCancel(deps.pool, { ...run, action, reason });
  if (outcome.outcome === "missing")
    throw new NotFound("run", `Run ${run.runId} does not exist on thread "${run.threadId}"`);
  if (outcome.outcome === "asked") deps.signals.cancelled(run.runId, "running");
  if (outcome.outcome === "cancelled") {
    deps.signals.cancelled(run.runId, "pending");
    await deps.queue.enqueue(outcome.next);
  }
  return outcome.outcome !== "asked";
}

/** How long a run in flight may take to stop before its attempt is ended without its worker, in ms. */
const STOP_MS = 5_000;

/**
 * Erases a thread: its runs, checkpoints and events. Runs in flight are stopped first; one whose worker does not answer is
 * ended in its place, which fences that worker.
 * @throws NotFound, Conflict when new runs keep coming.
 */
export async function deleteThread(deps: CancelDeps, tenantId: string, threadId: string): Promise<void> {
  const deadline = Date.now() + STOP_MS;
  for (let round = 0; round < 500; round++) {
    const outcome = await eraseThread(deps.pool, tenantId, threadId);
    if (outcome.outcome === "missing") throw new NotFound("thread", `Thread "${threadId}" does not exist`);
    if (outcome.outcome === "deleted") return deps.signals.forget(outcome.run_ids);
    const [running] = await listRuns(deps.pool, tenantId, threadId, { limit: 1, offset: 0, status: "running" });
    if (running === undefined) continue;
    await cancelRun(
      deps,
      { tenantId, threadId, runId: running.run_id },
      "interrupt",
      "the thread is being deleted",
    ).catch(() => {});
    if (Date.now() > deadline) {
      await settleRun(deps.pool, running.run_id, running.attempt, {
        outcome: "interrupted",
        reason: "the thread is being deleted",
      });
    }
    await delay(Math.min(10 + round * 10, 200));
  }
  throw new Conflict("run_active", `Thread "${threadId}" keeps getting runs; try again`);
}
