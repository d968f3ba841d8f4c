import { messageOf } from "@flotilla/shared/errors";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Logger } from "@flotilla/shared/process/logger";
import { listStaleThreads, postponeStaleThread } from "@flotilla/shared/threads/thread-queries";
import type { ThreadStates } from "../threads/thread-state.ts";
import type { Duty } from "./maintainer.ts";

const EVERY_MS = 2_000;
/** Who ended the run reads the thread again by himself; this is for those who died before they could, in s. */
const PATIENCE_SECONDS = 2;
const BATCH = 50;
/** A thread whose graph cannot be loaded is looked at again after this, in s. */
const POSTPONE_SECONDS = 60;

/** Reads the checkpoints of threads whose row is stale: a run that had begun ended without its worker. */
export function refreshThreads({ pool, states, logger }: { pool: Pool; states: ThreadStates; logger: Logger }): Duty {
  return {
    name: "refresh threads",
    everyMs: EVERY_MS,
    lock: 4,
    async perform() {
      for (const { tenant_id: tenantId, thread_id: threadId } of await listStaleThreads(
        pool,
        PATIENCE_SECONDS,
        BATCH,
      )) {
        const refreshed = await states.refreshStale(tenantId, threadId).catch((error: unknown) => {
          logger.warn({ thread_id: threadId, err: messageOf(error) }, "the state of a thread could not be read yet");
          return false;
        });
        if (!refreshed) await postponeStaleThread(pool, tenantId, threadId, POSTPONE_SECONDS);
      }
    },
  };
}
