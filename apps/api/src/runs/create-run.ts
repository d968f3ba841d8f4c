import { v7 as uuidV7 } from "uuid";
import type { Principal } from "@flotilla/shared/access/api-key";
import { Conflict, IdempotencyKeyReused, NotFound } from "@flotilla/shared/errors";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Failpoint } from "@flotilla/shared/process/failpoints";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import { createRun as insertRun, type CreateOutcome, type NewRun } from "@flotilla/shared/runs/run-queries";
import type { MultitaskStrategy, RunKwargs } from "@flotilla/shared/runs/run";
import { defaultAssistantId } from "../assistants/default-assistant.ts";
import type { Idempotency } from "../http/idempotency.ts";
import type { ThreadStates } from "../threads/thread-state.ts";
import type { RunSignals } from "./run-signals.ts";

export interface Submission {
  principal: Principal;
  graphId: string;
  threadId: string | undefined;
  kwargs: RunKwargs;
  metadata: Record<string, unknown>;
  strategy: MultitaskStrategy;
  resume: NewRun["resume"];
  idempotency: Idempotency | undefined;
}

/** A run that was accepted, now or by an earlier request with the same key. */
export interface AcceptedRun {
  runId: string;
  threadId: string;
  /** Accepted by an earlier request. */
  replayed: boolean;
}

export interface CreateRunDeps {
  pool: Pool;
  queue: RunQueue;
  signals: RunSignals;
  states: ThreadStates;
  failpoint: Failpoint;
}

export function newRunId(): string {
  return uuidV7();
}

/**
 * Accepts a run: one transaction for thread, double-texting decision and row; then the queue, best effort. Once the
 * transaction has committed the run is accepted, whatever happens to Redis or to this process.
 * @param beforeEnqueue awaited between the two: what must be listening before a worker can start.
 */
export async function createRun(
  deps: CreateRunDeps,
  submission: Submission,
  runId: string,
  beforeEnqueue: Promise<unknown> = Promise.resolve(),
): Promise<AcceptedRun> {
  const threadId = submission.threadId ?? uuidV7();
  const run: NewRun = {
    tenantId: submission.principal.tenantId,
    threadId,
    threadMustExist: submission.resume !== undefined,
    bindGraph: true,
    runId,
    assistantId: defaultAssistantId(submission.graphId),
    graphId: submission.graphId,
    kwargs: submission.kwargs,
    metadata: submission.metadata,
    threadMetadata: { graph_id: submission.graphId, assistant_id: defaultAssistantId(submission.graphId) },
    strategy: submission.strategy,
    delaySeconds: 0,
    resume: submission.resume,
    idempotency: submission.idempotency,
  };
  await deps.failpoint("before_create");
  let outcome = await insertRun(deps.pool, run);
  await deps.failpoint("after_create");
  if (outcome.outcome === "state_stale") {
    await deps.states.refreshStale(run.tenantId, threadId);
    outcome = await insertRun(deps.pool, run);
  }
  if (outcome.outcome === "replayed") return { runId: outcome.run_id, threadId: outcome.thread_id, replayed: true };
  if (outcome.outcome !== "created") throw refusal(outcome, submission, threadId);
  await beforeEnqueue;
  for (const { run_id, was } of outcome.cancelled) deps.signals.cancelled(run_id, was);
  await deps.queue.enqueue(outcome.dispatch);
  await deps.failpoint("after_enqueue");
  return { runId, threadId, replayed: false };
}

type Refusal = Exclude<CreateOutcome, { outcome: "created" | "replayed" }>;

function refusal(refused: Refusal, submission: Submission, threadId: string): Error {
  switch (refused.outcome) {
    case "key_reused":
      return new IdempotencyKeyReused("This Idempotency-Key came with another request before; use a new key");
    case "thread_missing":
      return new NotFound("thread", `Thread "${threadId}" does not exist`);
    case "other_graph":
      return new Conflict(
        "thread_of_other_graph",
        `Thread "${threadId}" belongs to graph "${refused.graph_id}", not to "${submission.graphId}"`,
      );
    case "thread_busy":
      return submission.resume === undefined
        ? new Conflict(
            "thread_busy",
            "Thread is already running a task. Wait for it to finish or choose a different multitask strategy.",
          )
        : new Conflict("thread_not_interrupted", `Thread "${threadId}" is not interrupted: a run of it is in flight`);
    case "state_stale":
    case "not_interrupted":
      return new Conflict(
        "thread_not_interrupted",
        `Thread "${threadId}" is not interrupted: no question waits for an answer`,
      );
    case "unknown_interrupt":
      return new Conflict(
        "interrupt_not_waiting",
        `That interrupt does not wait on thread "${threadId}". Waiting: ${(refused.waiting ?? []).join(", ")}`,
      );
    case "several_interrupts":
      return new Conflict(
        "several_interrupts",
        `Several interrupts wait on thread "${threadId}"; name one with interrupt_id: ${(refused.waiting ?? []).join(", ")}`,
      );
  }
}
