import { setTimeout as delay } from "node:timers/promises";
import type { LoopWatchdog } from "@flotilla/shared/process/loop-watchdog";
import type { RunConsumer } from "./run-consumer.ts";
import type { ExecuteRunDeps } from "./runs/execute-run.ts";
import { giveBack, wireExecution, type WorkerParts } from "./wiring.ts";

export interface StartWorkerOptions {
  parts: WorkerParts;
  /** Execute this run and nothing else. */
  soloRun: string | undefined;
  executeRun(deps: ExecuteRunDeps, runId: string, alone: boolean): Promise<void>;
  openConsumer(execute: (runId: string) => Promise<void>): RunConsumer;
  watchdog: LoopWatchdog;
}

export interface RunningWorker {
  /** Resolves when the one run of a solo worker has ended; undefined for an ordinary one. */
  solo: Promise<void> | undefined;
  /** Stops taking work, hands over what runs, and aborts what has not stopped after `graceSeconds`. */
  drain(graceSeconds: number): Promise<void>;
}

const GUARD_EVERY_MS = 1_000;
/** Longest wait for the queue's consent to go, in ms. */
const STOP_TAKING_MS = 1_000;

/** Starts to execute: jobs of the queue, or one run alone. */
export function startWorker({ parts, soloRun, executeRun, openConsumer, watchdog }: StartWorkerOptions): RunningWorker {
  const deps = wireExecution(parts);
  const { drain, logger, config } = parts;
  if (soloRun !== undefined) {
    const solo = executeRun(deps, soloRun, true);
    return { solo, drain: (graceSeconds) => handOver(parts, solo, graceSeconds) };
  }

  const consumer = openConsumer((runId) => (drain.requested ? giveBack(parts, runId) : executeRun(deps, runId, false)));
  const guard = guardIntake(consumer, watchdog, config.LEASE_SECS, logger);
  return {
    solo: undefined,
    async drain(graceSeconds) {
      clearInterval(guard);
      drain.request(); // first: what the queue still delivers is given back
      const stopped = consumer.stopTaking().catch(() => {});
      if (consumer.active > 0) logger.info({ runs: consumer.active }, "handing over what runs");
      await handOver(parts, consumer.idle(), graceSeconds);
      await Promise.race([stopped, delay(STOP_TAKING_MS)]);
      await Promise.race([consumer.close(), delay(STOP_TAKING_MS)]); // without Redis it would wait for ever
    },
  };
}

async function handOver({ drain, logger }: WorkerParts, ended: Promise<void>, graceSeconds: number): Promise<void> {
  drain.request();
  const late = new AbortController();
  const grace = delay(Math.max(graceSeconds, 0) * 1000, undefined, { signal: late.signal }).then(
    () => {
      logger.warn("the grace period ends: aborting the nodes that still run");
      drain.abort();
    },
    () => {},
  );
  await ended;
  late.abort();
  await grace;
}

/** A loop that is late by more than a lease must not take more: what it holds is at risk already. */
function guardIntake(
  consumer: RunConsumer,
  watchdog: LoopWatchdog,
  leaseSeconds: number,
  logger: WorkerParts["logger"],
): NodeJS.Timeout {
  let paused = false;
  return setInterval(() => {
    const late = watchdog.lagSeconds > leaseSeconds;
    if (late === paused) return;
    paused = late;
    logger.warn(
      { lag_seconds: watchdog.lagSeconds },
      late ? "the event loop is late by more than a lease: taking no work" : "taking work again",
    );
    if (late) void consumer.pause();
    else consumer.resume();
  }, GUARD_EVERY_MS).unref();
}
