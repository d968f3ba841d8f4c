import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Redis } from "@flotilla/shared/redis/connection";
import type { Logger } from "@flotilla/shared/process/logger";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import { listStranded, readClock, redispatchRun, releaseHeldRuns } from "@flotilla/shared/runs/fleet-queries";
import type { GatewayMetrics } from "../metrics.ts";
import type { Duty } from "./maintainer.ts";

export interface StrandedDeps {
  pool: Pool;
  redis: Redis;
  queue: RunQueue;
  metrics: GatewayMetrics;
  logger: Logger;
}

const EVERY_MS = 1_000;
const BATCH = 500;
/** A job this young may be between Redis and its claim, in s. */
const SLACK_SECONDS = 2;

/**
 * Puts runs on the queue that should be there and are not: their time has come, the process that accepted them died before
 * it enqueued them, Redis lost them, or there is room for them and nobody has released them.
 */
export function enqueueStranded(deps: StrandedDeps): Duty {
  return {
    name: "enqueue stranded runs",
    everyMs: EVERY_MS,
    lock: 2,
    async perform() {
      if (deps.redis.status !== "ready") return;
      if (await dispatchStranded(deps)) await releaseHeld(deps);
    },
  };
}

/**
 * The queue is first in, first out, so a run that was dispatched before the oldest waiting job is not in it; after a wipe nothing
 * is. Costs what is stranded, not what is pending: what a sweep has dispatched is younger than its beginning and not looked at again.
 * @returns false when Redis is away again.
 */
async function dispatchStranded({ pool, queue, metrics, logger }: StrandedDeps): Promise<boolean> {
  const now = await readClock(pool);
  const wiped = await queue.wasWiped();
  const oldestWaitingMs = wiped ? null : await queue.oldestWaiting();
  const bounds = { now, oldestWaitingMs, slackSeconds: wiped ? 0 : SLACK_SECONDS, limit: BATCH };
  let dispatched = 0;
  for (;;) {
    const stranded = await listStranded(pool, bounds);
    for (const runId of stranded) {
      const dispatch = await redispatchRun(pool, runId);
      if (dispatch === null) continue;
      metrics.redispatched();
      dispatched++;
      if (!(await queue.enqueue(dispatch))) return false;
    }
    if (stranded.length > 0) continue;
    if (wiped && dispatched > 0)
      logger.warn({ runs: dispatched }, "Redis was empty: what is runnable was dispatched again");
    return true;
  }
}

/** A claim or settlement that made room could not see a run that was being held at that moment, or died before it enqueued it. */
async function releaseHeld({ pool, queue, metrics }: StrandedDeps): Promise<void> {
  for (;;) {
    const released = await releaseHeldRuns(pool, BATCH);
    for (const dispatch of released) {
      metrics.redispatched();
      if (!(await queue.enqueue(dispatch))) return; // all of them are stranded then
    }
    if (released.length < BATCH) return;
  }
}
