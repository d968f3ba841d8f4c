import { messageOf } from "@flotilla/shared/errors";
import type { ThreadTtlConfig } from "@flotilla/shared/graphs/checkpointer-config";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Logger } from "@flotilla/shared/process/logger";
import { listExpiredThreads, pruneThread } from "@flotilla/shared/threads/thread-expiry-queries";
import type { RunSignals } from "../runs/run-signals.ts";
import { defaultTtl } from "../threads/threads.ts";
import type { Duty } from "./maintainer.ts";

/** The longest that a timer can wait, in ms: some 24 days. */
const MAX_INTERVAL_MS = 2_147_483_647;

export interface ExpiryDeps {
  pool: Pool;
  signals: RunSignals;
  logger: Logger;
  threadTtl: ThreadTtlConfig;
}

/**
 * Deletes threads whose time has come, or reduces them to their newest state. A thread that came to life after it was listed
 * is left alone, and so is one with a run in flight.
 */
export function expireThreads({ pool, signals, logger, threadTtl }: ExpiryDeps): Duty {
  return {
    name: "expire threads",
    everyMs: Math.min(threadTtl.sweepIntervalMinutes * 60_000, MAX_INTERVAL_MS / 2),
    lock: 8,
    async perform() {
      const expired = await listExpiredThreads(pool, defaultTtl(threadTtl), threadTtl.sweepLimit);
      for (const { tenant_id: tenantId, thread_id: threadId, strategy, unchanged_since: unchangedSince } of expired) {
        await pruneThread(pool, { tenantId, threadId, strategy, unchangedSince }).then(
          (pruned) => (pruned.outcome === "deleted" ? signals.forget(pruned.run_ids) : undefined),
          (error: unknown) =>
            // One thread whose row is held must not keep the others; it comes again in the next sweep.
            logger.warn({ thread_id: threadId, err: messageOf(error) }, "an expired thread could not be pruned yet"),
        );
      }
    },
  };
}
