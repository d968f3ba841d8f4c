import { hostname } from "node:os";
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { GraphNotLoaded, LeaseLost, messageOf } from "@flotilla/shared/errors";
import { getEventMark, selectById } from "@flotilla/shared/graphs/checkpoints/checkpoint-queries";
import type { CheckpointRow } from "@flotilla/shared/graphs/checkpoints/checkpoint-row";
import { FencedSaver } from "@flotilla/shared/graphs/checkpoints/fenced-saver";
import type { GroupWriter } from "@flotilla/shared/graphs/checkpoints/group-writer";
import type { GraphRegistry } from "@flotilla/shared/graphs/graph-registry";
import { isConnectionFailure } from "@flotilla/shared/postgres/pg-error";
import { whileAway } from "@flotilla/shared/postgres/transaction";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Failpoint } from "@flotilla/shared/process/failpoints";
import type { Logger } from "@flotilla/shared/process/logger";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import type { Redis } from "@flotilla/shared/redis/connection";
import { noteChildDeath, type ChildDeath } from "@flotilla/shared/runs/dead-letter-queries";
import { redispatchRun } from "@flotilla/shared/runs/fleet-queries";
import {
  claimRun,
  failStart,
  settleRun,
  storeResumeMap,
  type Settlement,
  type SettleOutcome,
} from "@flotilla/shared/runs/run-queries";
import { graphConfigOf, runMetadata } from "@flotilla/shared/runs/configurable";
import type { ClaimedRun } from "@flotilla/shared/runs/run";
import type { WorkerConfig } from "./config.ts";
import type { WorkerMetrics } from "./metrics.ts";
import type { Drain } from "./runs/drain.ts";
import { describeDeath } from "./runs/execute-alone.ts";
import type { ExecuteRunDeps } from "./runs/execute-run.ts";
import type { Leases } from "./runs/lease.ts";
import type { WorkerOnceHost } from "./once/once-host.ts";
import { OnceOfRun } from "./once/once-of-run.ts";
import type { RunContext } from "./runs/run-context.ts";
import { durabilityOf } from "./runs/run-input.ts";
import type { OpenLogs } from "./streaming/open-logs.ts";

/** The parts of a worker process, as main.ts started them. */
export interface WorkerParts {
  config: WorkerConfig;
  logger: Logger;
  pool: Pool;
  redis: Redis;
  queue: RunQueue;
  registry: GraphRegistry;
  writer: GroupWriter;
  leases: Leases;
  logs: OpenLogs;
  drain: Drain;
  context: RunContext;
  once: WorkerOnceHost;
  metrics: WorkerMetrics;
  failpoint: Failpoint;
  /** @returns how the child died; undefined when it came to its end. */
  executeAlone(runId: string): Promise<ChildDeath | undefined>;
}

/** Connects `executeRun` to the parts. The only place that knows both. */
export function wireExecution(parts: WorkerParts): ExecuteRunDeps {
  const { config, logger, pool, redis, queue, writer, leases, logs, drain, failpoint } = parts;
  const alone = new Set<string>();
  const holder = `${hostname()}:${process.pid}:${randomBytes(4).toString("hex")}`;
  return {
    logger,
    timeoutSeconds: config.BG_JOB_TIMEOUT_SECS,
    claimRun: async (runId, alone) => {
      try {
        const claim = await claimRun(pool, runId, holder, config.LEASE_SECS, alone);
        // Not awaited: the run that was claimed does not wait for another one's way to Redis.
        if (claim.outcome === "claimed") void queue.enqueue(claim.run.next);
        return claim;
      } catch (error) {
        if (isConnectionFailure(error)) throw error; // the sweep dispatches it again
        await noteFailedStart(parts, runId, undefined, messageOf(error));
        return { outcome: "not_started" };
      }
    },
    executeAlone: async (runId, attempt) => {
      if (drain.requested) return giveBack(parts, runId);
      // On a busy machine a child takes longer to start than the sweep waits: a second one would make it busier still.
      if (alone.has(runId)) return;
      alone.add(runId);
      const death = await parts.executeAlone(runId).finally(() => alone.delete(runId));
      if (death === undefined || drain.requested) return;
      await keepDeath(parts, runId, attempt, death); // first: it may have been the last
      const how = describeDeath(death);
      await noteFailedStart(parts, runId, attempt, `the process that was to execute it alone died: ${how}`);
    },
    holdLease: (run, claimStartedAt) => leases.hold({ runId: run.run_id, attempt: run.attempt }, claimStartedAt),
    openEventLog: (run) =>
      logs.open({
        redis,
        prefix: config.REDIS_PREFIX,
        runId: run.run_id,
        attempt: run.attempt,
        cap: { events: config.EVENTS_MAX_COUNT, bytes: config.EVENTS_MAX_BYTES },
        failpoint,
        followed: run.kwargs.listening === "events" || run.attempt > 1,
      }),
    openSaver: (run, latest, signal, log) =>
      new FencedSaver({
        pool,
        writer,
        tenantId: run.tenant_id,
        fence: { runId: run.run_id, attempt: run.attempt },
        signal,
        metadata: runMetadata(run),
        latest,
        isAnew: run.kwargs.replay === "anew",
        eventCount: () => log.count,
      }),
    openOnce: (run, saver, signal) => {
      const isStored = (checkpointId: string) => saver.isStored(checkpointId);
      const once = new OnceOfRun({ pool, run, durability: durabilityOf(run), signal, isStored, failpoint });
      const opened = parts.once.open(run.run_id, once);
      const forget = () =>
        once.forget().catch((error: unknown) => {
          // They go by their age, or with the thread.
          logger.warn({ run_id: run.run_id, err: messageOf(error) }, "results of once() could not be removed yet");
        });
      return { forget, [Symbol.dispose]: () => opened[Symbol.dispose]() };
    },
    bindGraph: async (run, saver) => {
      // In a deployment that rolls, a gateway knows graphs that this worker does not have yet, or not any more.
      if (!parts.registry.has(run.graph_id))
        throw new GraphNotLoaded(`Graph "${run.graph_id}" is not among those of the worker that executed the run`);
      return parts.registry.bind(run.graph_id, saver, graphConfigOf(run), "threads.create_run");
    },
    readCheckpoint: (run, checkpointId, signal) => whileAway(() => readCheckpoint(pool, run, checkpointId), signal),
    readEventMark: (run, signal) =>
      whileAway(
        () => getEventMark(pool, { threadId: storedThreadId(run), runId: run.run_id, baseSeq: run.base_seq }),
        signal,
      ),
    storeAnswers: (run, answers, signal) =>
      whileAway(() => storeResumeMap(pool, run.run_id, run.attempt, answers), signal),
    settle: async (run, settlement, signal) => {
      const settled = await settlePatiently(pool, run, settlement, signal);
      await failpoint("before_release");
      if (settled.outcome === "settled") await queue.enqueue(settled.next);
      return settled;
    },
    inRunContext: async (run, lease, work) => {
      using _watched = drain.watch(lease);
      return await parts.context.run({ lease, graphId: run.graph_id }, work); // awaited: what is only returned is not watched any more
    },
    openControl: () => drain.open(),
    observe: (event, run, outcome) =>
      event === "claimed" ? parts.metrics.claimed(run) : parts.metrics.ended(run, outcome ?? "unknown"),
    failpoint,
  };
}

async function readCheckpoint(pool: Pool, run: ClaimedRun, checkpointId: string): Promise<CheckpointRow | undefined> {
  const { rows } = await pool.query<CheckpointRow>(selectById(storedThreadId(run), "", checkpointId));
  return rows[0];
}

function storedThreadId(run: ClaimedRun): string {
  return run.tenant_id === "default" ? run.thread_id : `${run.tenant_id}/${run.thread_id}`;
}

/** A job that came too late: its run goes on the queue again, for another worker. */
export async function giveBack({ pool, queue }: WorkerParts, runId: string): Promise<void> {
  await queue.enqueue(await redispatchRun(pool, runId));
}

/** For whoever looks at the run when it is a dead letter. Best effort: what becomes of the run does not depend on it. */
async function keepDeath(
  { pool, logger }: WorkerParts,
  runId: string,
  attempt: number,
  death: ChildDeath,
): Promise<void> {
  await noteChildDeath(pool, runId, attempt, death).catch((error: unknown) => {
    logger.warn({ run_id: runId, err: messageOf(error) }, "how a child died could not be kept");
  });
}

/** A run that cannot be started must not be tried for ever. One that has been claimed meanwhile is not touched. */
async function noteFailedStart(
  { pool, queue, logger, metrics }: WorkerParts,
  runId: string,
  attempt: number | undefined,
  reason: string,
): Promise<void> {
  const noted = await failStart(pool, runId, attempt, reason);
  if (noted.outcome === "fenced") return;
  metrics.startFailed(noted.status);
  logger.warn({ run_id: runId, reason, became: noted.status }, "a run could not be started");
  await queue.enqueue(noted.next);
}

/** Settles, again and again while Postgres is away: the result is worth waiting for as long as the lease may still be ours. */
async function settlePatiently(
  pool: Pool,
  run: ClaimedRun,
  settlement: Settlement,
  signal: AbortSignal,
): Promise<SettleOutcome> {
  for (let pause = 50; ; pause = Math.min(pause * 2, 1_000)) {
    try {
      return await settleRun(pool, run.run_id, run.attempt, settlement);
    } catch (error) {
      if (signal.aborted && signal.reason instanceof LeaseLost) return { outcome: "fenced" };
      if (!isConnectionFailure(error)) return settleAsError(pool, run, error);
      await delay(pause);
    }
  }
}

/** A result that Postgres refuses to store must not leave the run to be executed for ever. */
function settleAsError(pool: Pool, run: ClaimedRun, error: unknown): Promise<SettleOutcome> {
  const failure = { error: "ResultNotStored", message: `The result could not be stored: ${messageOf(error)}` };
  return settleRun(pool, run.run_id, run.attempt, { outcome: "error", error: failure, reason: "result not stored" });
}
