import { v7 as uuidV7 } from "uuid";
import type { Principal } from "@flotilla/shared/access/api-key";
import { Conflict, IdempotencyKeyReused, InvalidRequest, NotFound } from "@flotilla/shared/errors";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Failpoint } from "@flotilla/shared/process/failpoints";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import {
  createRun as insertRun,
  createRuns as insertRuns,
  type CreateOutcome,
  type NewRun,
} from "@flotilla/shared/runs/run-queries";
import type { MultitaskStrategy, Run, RunKwargs } from "@flotilla/shared/runs/run";
import type { Admission } from "../admission/admission.ts";
import { defaultAssistantId } from "../assistants/default-assistant.ts";
import type { Idempotency } from "../http/idempotency.ts";
import type { ThreadTtl } from "@flotilla/shared/protocol/thread-body";
import type { ThreadStates } from "../threads/thread-state.ts";
import type { RunSignals } from "./run-signals.ts";

export interface Submission {
  principal: Principal;
  graphId: string;
  /** Who runs the graph: undefined for the graph's default, with nothing of its own, as the small dialect has it. */
  assistant: { id: string; metadata: Record<string, unknown> } | undefined;
  threadId: string | undefined;
  /** A thread that does not exist is made, missed, or made for this run alone. */
  thread: "made" | "required" | "temporary";
  kwargs: RunKwargs;
  metadata: Record<string, unknown>;
  strategy: MultitaskStrategy;
  delaySeconds: number;
  resume: NewRun["resume"];
  idempotency: Idempotency | undefined;
}

/** A run that was accepted, now or by an earlier request with the same key. */
export interface AcceptedRun {
  runId: string;
  threadId: string;
  /** Accepted by an earlier request. */
  replayed: boolean;
  /** As it was accepted now; undefined for one that was accepted earlier. */
  run: Run | undefined;
}

export interface CreateRunDeps {
  pool: Pool;
  admission: Admission;
  queue: RunQueue;
  signals: RunSignals;
  states: ThreadStates;
  /** Of a thread that the run makes. */
  threadTtl: ThreadTtl | undefined;
  failpoint: Failpoint;
}

export function newRunId(): string {
  return uuidV7();
}

/**
 * Accepts a run: one transaction for thread, double-texting decision and row; then the queue, best effort. Once the
 * transaction has committed the run is accepted, whatever happens to Redis or to this process.
 * @throws Overloaded before anything is stored; what the run is refused for.
 * @param beforeEnqueue awaited between the two: what must be listening before a worker can start.
 */
export async function createRun(
  deps: CreateRunDeps,
  submission: Submission,
  runId: string,
  beforeEnqueue: Promise<unknown> = Promise.resolve(),
): Promise<AcceptedRun> {
  deps.admission.admit(submission.principal.tenantId);
  const run = newRun(deps, submission, runId);
  await deps.failpoint("before_create");
  let outcome = await insertRun(deps.pool, run);
  await deps.failpoint("after_create");
  if (outcome.outcome === "state_stale") {
    await deps.states.refreshStale(run.tenantId, run.threadId);
    outcome = await insertRun(deps.pool, run);
  }
  const accepted = acceptedRun(outcome, run, submission);
  if (outcome.outcome !== "created") return accepted;
  await beforeEnqueue;
  await announce(deps, run, outcome);
  await deps.failpoint("after_enqueue");
  return accepted;
}

/** Accepts runs that have threads to themselves, all of them or none: as `createRun`, in one transaction. */
export async function createRuns(deps: CreateRunDeps, submissions: readonly Submission[]): Promise<AcceptedRun[]> {
  const [first] = submissions;
  if (first !== undefined) deps.admission.admit(first.principal.tenantId);
  const runs = submissions.map((submission) => newRun(deps, submission, newRunId()));
  await deps.failpoint("before_create");
  const created = await insertRuns(deps.pool, runs, (outcome, i) => {
    const [run, submission] = [runs[i] as NewRun, submissions[i] as Submission];
    return { run, outcome, accepted: acceptedRun(outcome, run, submission) };
  });
  await deps.failpoint("after_create");
  await Promise.all(
    created.map(({ run, outcome }) => (outcome.outcome === "created" ? announce(deps, run, outcome) : undefined)),
  );
  return created.map(({ accepted }) => accepted);
}

function newRun(deps: CreateRunDeps, submission: Submission, runId: string): NewRun {
  const assistantId = submission.assistant?.id ?? defaultAssistantId(submission.graphId);
  return {
    tenantId: submission.principal.tenantId,
    threadId: submission.threadId ?? uuidV7(),
    threadMustExist: submission.thread === "required",
    bindGraph: submission.assistant === undefined,
    temporary: submission.thread === "temporary",
    threadTtl: submission.thread === "temporary" ? undefined : deps.threadTtl,
    runId,
    assistantId,
    graphId: submission.graphId,
    kwargs: submission.kwargs,
    metadata: submission.metadata,
    assistantMetadata: submission.assistant?.metadata,
    threadMetadata: { graph_id: submission.graphId, assistant_id: assistantId },
    strategy: submission.strategy,
    delaySeconds: submission.delaySeconds,
    resume: submission.resume,
    idempotency: submission.idempotency,
  };
}

/** @throws what the run was refused for. */
function acceptedRun(outcome: CreateOutcome, run: NewRun, submission: Submission): AcceptedRun {
  if (outcome.outcome === "replayed")
    return { runId: outcome.run_id, threadId: outcome.thread_id, replayed: true, run: undefined };
  if (outcome.outcome !== "created") throw refusal(outcome, submission, run.threadId);
  return { runId: run.runId, threadId: run.threadId, replayed: false, run: toRow(run, outcome) };
}

/** Tells of a run whose row is committed, best effort. */
async function announce(deps: CreateRunDeps, run: NewRun, created: Created): Promise<void> {
  for (const { run_id, was } of created.cancelled) deps.signals.cancelled(run_id, was);
  deps.signals.accepted(run.tenantId, run.threadId);
  await deps.queue.enqueue(created.dispatch);
}

type Created = Extract<CreateOutcome, { outcome: "created" }>;

/** The row as `create_run` has just inserted it. */
function toRow(run: NewRun, created: Created): Run {
  return {
    run_id: run.runId,
    tenant_id: run.tenantId,
    thread_id: run.threadId,
    assistant_id: run.assistantId,
    graph_id: run.graphId,
    status: "pending",
    kwargs: run.kwargs,
    metadata: created.metadata,
    multitask_strategy: run.strategy,
    attempt: 0,
    story: [],
    retry_of: null,
    error: null,
    cancel_reason: null,
    created_at: created.created_at,
    updated_at: created.created_at,
    started_at: null,
    ended_at: null,
  };
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
      return submission.resume === undefined || submission.resume.kind === "if_waiting"
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
    case "several_interrupts": {
      const several = `Several interrupts wait on thread "${threadId}"`;
      const ids = (refused.waiting ?? []).join(", ");
      return submission.resume?.kind === "if_waiting"
        ? new InvalidRequest(`${several}; answer with a map from their ids: ${ids}`)
        : new Conflict("several_interrupts", `${several}; name one with interrupt_id: ${ids}`);
    }
  }
}
