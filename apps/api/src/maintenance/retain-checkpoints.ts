import { messageOf } from "@flotilla/shared/errors";
import { isAway } from "@flotilla/shared/postgres/pg-error";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Logger } from "@flotilla/shared/process/logger";
import {
  findTrimmable,
  listThreadsToTrim,
  trimThread,
  type HistoryRetention,
  type ThreadAddress,
  type ThreadToTrim,
} from "@flotilla/shared/threads/thread-retention-queries";
import type { GatewayMetrics } from "../metrics.ts";
import type { Duty } from "./maintainer.ts";
import { goesOn, step, TURN_MS } from "./sweep.ts";

const THREADS = 500;
/** Rows of a kind that go while a thread is held: some milliseconds. */
const BATCH = 100;
const BEFORE_ALL: ThreadAddress = { tenant_id: "", thread_id: "" };

export interface CheckpointRetentionDeps {
  pool: Pool;
  metrics: GatewayMetrics;
  logger: Logger;
  everyMs: number;
  retention: HistoryRetention;
}

/** Removes old checkpoints of threads that are at rest. One that comes to life meanwhile is left alone until the next sweep. */
export function retainCheckpoints(deps: CheckpointRetentionDeps): Duty {
  const { pool, everyMs, retention } = deps;
  let after = BEFORE_ALL;
  return {
    name: "retain checkpoints",
    everyMs,
    lock: 12,
    async perform(stopping) {
      const deadline = Date.now() + TURN_MS;
      do {
        const page = await step(pool, (client) => listThreadsToTrim(client, retention, { after, limit: THREADS }));
        for (const thread of page.threads) if (!(await trim(deps, thread, deadline, stopping))) return;
        after = page.next ?? BEFORE_ALL;
        if (page.next === undefined) return;
      } while (await goesOn(deadline, stopping));
    },
  };
}

/** @returns whether the sweep is to go on. */
async function trim(
  { pool, metrics, logger }: CheckpointRetentionDeps,
  thread: ThreadToTrim,
  deadline: number,
  stopping: AbortSignal | undefined,
): Promise<boolean> {
  try {
    const seen = await findTrimmable(pool, thread);
    if (seen === undefined) return true;
    for (;;) {
      const outcome = await step(pool, (client) => trimThread(client, thread, seen, BATCH));
      if (outcome === "done") metrics.swept("threads trimmed", 1);
      const on = await goesOn(deadline, stopping);
      if (outcome !== "more" || !on) return on;
    }
  } catch (error) {
    if (isAway(error)) throw error;
    // One thread that cannot be trimmed must not keep the others; it comes again in the next sweep.
    logger.warn({ thread_id: thread.thread_id, err: messageOf(error) }, "a thread could not be trimmed yet");
    return goesOn(deadline, stopping);
  }
}
