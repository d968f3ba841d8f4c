import { messageOf } from "@flotilla/shared/errors";
import type { ThreadTtlConfig } from "@flotilla/shared/graphs/checkpointer-config";
import { isConnectionFailure } from "@flotilla/shared/postgres/pg-error";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Logger } from "@flotilla/shared/process/logger";
import { expireThread, listExpiredThreads } from "@flotilla/shared/threads/thread-expiry-queries";
import type { RunSignals } from "../runs/run-signals.ts";
import type { Duty } from "./maintainer.ts";

/** The longest that a timer can wait, with the maintainer's scatter, in ms: some three weeks. */
const MAX_INTERVAL_MS = 1_900_000_000;
/** A turn ends after this, in ms: the transaction of its lock may not be idle for ever. What is left comes in the next one. */
const TURN_MS = 300_000;

export interface ExpiryDeps {
  pool: Pool;
  signals: RunSignals;
  logger: Logger;
  sweep: Omit<ThreadTtlConfig, "byDefault">;
}

/**
 * Erases threads whose time has come, or reduces them to their newest state, each in a transaction of its own. One that came to
 * life after it was listed is left alone, and so is one with a run in flight.
 */
export function expireThreads({ pool, signals, logger, sweep }: ExpiryDeps): Duty {
  return {
    name: "expire threads",
    everyMs: Math.min(sweep.sweepIntervalMinutes * 60_000, MAX_INTERVAL_MS),
    lock: 8,
    async perform(stopping) {
      const deadline = Date.now() + TURN_MS;
      for (const { tenant_id: tenantId, thread_id: threadId } of await listExpiredThreads(pool, sweep.sweepLimit)) {
        if (stopping?.aborted === true || Date.now() > deadline) return;
        await expireThread(pool, tenantId, threadId).then(
          (pruned) => (pruned.outcome === "deleted" ? signals.forget(pruned.run_ids) : undefined),
          (error: unknown) => {
            if (isConnectionFailure(error)) throw error;
            // One thread that cannot be pruned must not keep the others; it comes again in the next sweep.
            logger.warn({ thread_id: threadId, err: messageOf(error) }, "an expired thread could not be pruned yet");
          },
        );
      }
    },
  };
}
