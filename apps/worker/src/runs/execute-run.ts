import type { RunControl, StateSnapshot } from "@langchain/langgraph";
import type { EventLog } from "@flotilla/shared/events/event-log";
import { compareEventIds, formatEventId, type EventId } from "@flotilla/shared/events/event-id";
import type { CheckpointRow } from "@flotilla/shared/graphs/checkpoints/checkpoint-row";
import type { FencedSaver } from "@flotilla/shared/graphs/checkpoints/fenced-saver";
import type { CompiledGraph } from "@flotilla/shared/graphs/graph-registry";
import { RunTimedOut } from "@flotilla/shared/errors";
import type { Logger } from "@flotilla/shared/process/logger";
import type { ClaimedRun } from "@flotilla/shared/runs/run";
import type { ClaimOutcome, Settlement, SettleOutcome } from "@flotilla/shared/runs/run-queries";
import { ChunkEvents } from "../streaming/chunk-events.ts";
import type { Lease } from "./lease.ts";
import { outcomeOf, resultOf, settlementOf, toRunError, type RunOutcome } from "./outcome.ts";
import { planAttempt, type Plan } from "./plan-attempt.ts";
import { runGraph } from "./run-graph.ts";

/** What one attempt needs; built in wiring.ts. */
export interface ExecuteRunDeps {
  logger: Logger;
  timeoutSeconds: number;
  claimRun(runId: string, alone: boolean): Promise<ClaimOutcome | { outcome: "not_started" }>;
  /** Gives the run a holder to itself: it lost workers before, and may take neighbours down. */
  executeAlone(runId: string, attempt: number): Promise<void>;
  holdLease(run: ClaimedRun, claimStartedAt: bigint): Lease;
  openEventLog(run: ClaimedRun): EventLog;
  openSaver(run: ClaimedRun, latest: CheckpointRow | undefined, signal: AbortSignal, log: EventLog): FencedSaver;
  /** Makes `once` of the run's nodes find this attempt. */
  openOnce(run: ClaimedRun, saver: FencedSaver, signal: AbortSignal): { forget(): Promise<void> } & Disposable;
  bindGraph(run: ClaimedRun, saver: FencedSaver): Promise<CompiledGraph>;
  readCheckpoint(run: ClaimedRun, checkpointId: string, signal: AbortSignal): Promise<CheckpointRow | undefined>;
  /** How many events an earlier attempt had appended when it stored its last checkpoint. */
  readEventMark(run: ClaimedRun, signal: AbortSignal): Promise<{ attempt: number; events: number } | undefined>;
  storeAnswers(run: ClaimedRun, answers: Record<string, unknown>, signal: AbortSignal): Promise<boolean>;
  /** Ends the attempt and puts the thread's next run on the queue. Repeats while Postgres is away and the lease lasts. */
  settle(run: ClaimedRun, settlement: Settlement, signal: AbortSignal): Promise<SettleOutcome>;
  /** Runs `work` so that what its code rejects without a handler fails this run, not the process. */
  inRunContext<T>(run: ClaimedRun, lease: Lease, work: () => Promise<T>): Promise<T>;
  /** The control of this attempt, drained already when the worker is. */
  openControl(runId: string): { control: RunControl } & Disposable;
  observe(event: "claimed" | "ended", run: ClaimedRun, outcome?: string): void;
  /** Test hook; does nothing in production. */
  failpoint(name: string): Promise<void>;
}

/** Executes a run once: claim, hold the lease, run the graph, settle. A claim that is refused is not an error. */
export async function executeRun(deps: ExecuteRunDeps, runId: string, alone = false): Promise<void> {
  await deps.failpoint(alone ? "before_claim_alone" : "before_claim");
  const claimStartedAt = process.hrtime.bigint();
  const claim = await deps.claimRun(runId, alone);
  if (claim.outcome === "alone") return deps.executeAlone(runId, claim.run.attempt);
  if (claim.outcome !== "claimed") {
    deps.logger.debug({ run_id: runId, outcome: claim.outcome }, "claim refused");
    return;
  }
  const { run } = claim;
  const isEmpty = run.kwargs.replay === "anew" && !claim.applied;
  const latest = isEmpty ? undefined : ((claim.checkpoint as CheckpointRow | null) ?? undefined);
  deps.observe("claimed", run);
  await using lease = deps.holdLease(run, claimStartedAt);
  await deps.failpoint("after_claim");
  await deps.inRunContext(run, lease, () => attempt(deps, { run, latest, applied: claim.applied, lease }));
}

interface Attempt {
  run: ClaimedRun;
  latest: CheckpointRow | undefined;
  applied: boolean;
  lease: Lease;
}

async function attempt(deps: ExecuteRunDeps, { run, latest, applied, lease }: Attempt): Promise<void> {
  const logger = deps.logger.child({ run_id: run.run_id, thread_id: run.thread_id, attempt: run.attempt });
  using log = deps.openEventLog(run);
  await announceAttempt(deps, log, { run, latest, applied, lease });
  const stopClock = startClock(run, deps.timeoutSeconds, lease);
  const saver = deps.openSaver(run, latest, lease.signal, log);
  using once = deps.openOnce(run, saver, lease.signal);
  const { outcome, state } = await perform(deps, { run, latest, applied, lease }, saver, log);
  stopClock();
  if (outcome.kind === "lost") {
    logger.warn("the lease is lost; another worker goes on");
    deps.observe("ended", run, "lost");
    return log.close();
  }
  if (outcome.kind === "failed") logger.info({ error: outcome.error }, "the run failed");
  // Events come before the end for whoever follows. Where nobody does, they are on their way while the run is settled: should
  // this process die in between, a later reader finds a gap and the final state. Not when that takes long: a gateway writes the end
  // of a run that has been settled for a while, and nothing gets behind it.
  const flushed = log.flush();
  if (log.isFollowed || log.isBehind) await flushed;
  await deps.failpoint("before_settle");
  const settlement = settlementOf(outcome, state, saver.storedCheckpointId);
  const settled = await deps.settle(run, settlement, lease.signal);
  await deps.failpoint("after_settle");
  if (settled.outcome === "fenced") {
    logger.warn("the lease was lost before the end could be written");
    deps.observe("ended", run, "lost");
    return log.close();
  }
  deps.observe("ended", run, settled.status === "success" && settlement.hasNext === true ? "waiting" : settled.status);
  if (settled.status === "pending") return log.close();
  if (settled.error) log.append("error", JSON.stringify(settled.error));
  await deps.failpoint("before_end");
  await log.end(JSON.stringify({ run_id: run.run_id, status: settled.status }), resultOf(run, settlement, settled));
  await deps.failpoint("after_end");
  if (settled.status === "success" && settlement.hasNext === false) await once.forget();
}

/** Decides by the rows that earlier attempts left, runs what is left to run, and reads the final state from memory. */
async function perform(
  deps: ExecuteRunDeps,
  { run, latest, applied, lease }: Attempt,
  saver: FencedSaver,
  log: EventLog,
): Promise<{ outcome: RunOutcome; state: StateSnapshot | undefined }> {
  let graph: CompiledGraph | undefined;
  let outcome: RunOutcome;
  using drain = deps.openControl(run.run_id);
  try {
    graph = await deps.bindGraph(run, saver);
    const plan = await planAttempt({
      run,
      graph,
      latest,
      applied,
      readCheckpoint: (checkpointId) => deps.readCheckpoint(run, checkpointId, lease.signal),
      storeAnswers: async (answers) => {
        await deps.failpoint("before_answers");
        const stored = await deps.storeAnswers(run, answers, lease.signal);
        await deps.failpoint("after_answers");
        return stored;
      },
    });
    outcome = await follow(plan, { graph, run, log, lease, control: drain.control });
  } catch (thrown) {
    outcome = outcomeOf(thrown, lease.signal);
  }
  if (outcome.kind === "lost" || graph === undefined) return { outcome, state: undefined };
  // A beginning anew that has stored nothing saw an empty thread: what the thread really holds is read from its checkpoints.
  if (run.kwargs.replay === "anew" && !applied && saver.storedCheckpointId === undefined)
    return { outcome, state: undefined };
  try {
    await saver.drained();
    return { outcome, state: await graph.getState({ configurable: { thread_id: run.thread_id } }) };
  } catch (thrown) {
    const failed: RunOutcome = outcome.kind === "finished" ? { kind: "failed", error: toRunError(thrown) } : outcome;
    return { outcome: failed, state: undefined };
  }
}

async function follow(
  plan: Plan,
  {
    graph,
    run,
    log,
    lease,
    control,
  }: { graph: CompiledGraph; run: ClaimedRun; log: EventLog; lease: Lease; control: RunControl },
): Promise<RunOutcome> {
  if (plan.kind === "settle") return { kind: "finished" };
  if (plan.kind === "fail") return { kind: "failed", error: { error: plan.error, message: plan.message } };
  const events = new ChunkEvents(run.kwargs.stream_mode, (event, data) => log.append(event, data));
  return runGraph({
    graph,
    run,
    input: plan.input,
    checkpointId: plan.checkpointId,
    events,
    signal: lease.signal,
    control,
  });
}

/** The first event of an attempt: which it is, where it goes on, and the last event of those before. */
async function announceAttempt(
  deps: ExecuteRunDeps,
  log: EventLog,
  { run, latest, applied, lease }: Attempt,
): Promise<void> {
  const first = { run_id: run.run_id, thread_id: run.thread_id, attempt: run.attempt };
  if (run.attempt === 1) return log.append("metadata", JSON.stringify(first));
  const [stored, mark] = await Promise.all([log.previousEnd(), deps.readEventMark(run, lease.signal)]);
  const previous = laterOf(stored, mark);
  const resumedFrom = applied ? (latest?.checkpoint_id ?? null) : null;
  log.append("metadata", JSON.stringify({ ...first, resumed_from: resumedFrom, previous }));
}

/**
 * The last event of earlier attempts: the last one that Redis holds, or, by the last checkpoint, one that never got there. The
 * attempt goes on after that checkpoint and does not repeat it, so a reader has to be told of the hole.
 */
function laterOf(stored: EventId | undefined, mark: { attempt: number; events: number } | undefined): string | null {
  const appended = mark === undefined ? undefined : { attempt: mark.attempt, n: BigInt(mark.events) };
  const [last] = [stored, appended]
    .filter((id) => id !== undefined && id.n > 0n)
    .toSorted((a, b) => compareEventIds(b as EventId, a as EventId));
  return last === undefined ? null : formatEventId(last);
}

/** The time limit counts from the first start, over all attempts, by Postgres' clock. */
function startClock(run: ClaimedRun, timeoutSeconds: number, lease: Lease): () => void {
  const left = (timeoutSeconds - run.elapsed_seconds) * 1000;
  const expire = () => lease.abort(new RunTimedOut(timeoutSeconds));
  if (left <= 0) {
    expire();
    return () => {};
  }
  const timer = setTimeout(expire, Math.min(left, 2 ** 31 - 1));
  return () => clearTimeout(timer);
}
