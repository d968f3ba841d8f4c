import { NotFound } from "@flotilla/shared/errors";
import { ENDED_TTL_MS } from "@flotilla/shared/events/event-log";
import { listEndedTemporaryThreads } from "@flotilla/shared/threads/thread-queries";
import { deleteThread, type CancelDeps } from "../runs/cancel-run.ts";
import type { Duty } from "./maintainer.ts";

const EVERY_MS = 15_000;
const BATCH = 200;

/**
 * Erases the threads of runs that had none of their own. Not at the end of the run: until its stream is not kept any more,
 * whoever waits for it or comes back gets its end; and a dead letter is kept for its own time.
 */
export function eraseTemporaryThreads(
  deps: CancelDeps,
  { deadLetterSeconds, keptSeconds = ENDED_TTL_MS / 1_000 }: { deadLetterSeconds: number; keptSeconds?: number },
): Duty {
  return {
    name: "erase temporary threads",
    everyMs: EVERY_MS,
    lock: 7,
    async perform() {
      for (;;) {
        const threads = await listEndedTemporaryThreads(deps.pool, keptSeconds, deadLetterSeconds, BATCH);
        for (const { tenant_id: tenantId, thread_id: threadId } of threads)
          await deleteThread(deps, tenantId, threadId).catch((error: unknown) => {
            if (!(error instanceof NotFound)) throw error;
          });
        if (threads.length < BATCH) return;
      }
    },
  };
}
