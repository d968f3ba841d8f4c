import { setTimeout as delay } from "node:timers/promises";
import { listExpired, listStranded, redispatchRun, settleRun } from "@flotilla/shared/runs/run-queries";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";

/** What the maintenance duties of a gateway do for runs, without a gateway: expired leases and stranded runs, over and over. */
export class Rescuer {
  readonly #loop: Promise<void>;
  #stopped = false;

  constructor(pool: Pool, queue: RunQueue, everyMs = 50) {
    this.#loop = this.#run(pool, queue, everyMs);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#loop;
  }

  async #run(pool: Pool, queue: RunQueue, everyMs: number): Promise<void> {
    while (!this.#stopped) {
      await rescueExpired(pool, queue);
      for (const runId of await listStranded(pool, await queue.oldestWaiting(), 1, 100)) {
        await queue.enqueue(await redispatchRun(pool, runId));
      }
      await delay(everyMs);
    }
  }
}

/** Gives runs whose lease ran out back to the queue. Returns how many. */
export async function rescueExpired(pool: Pool, queue: RunQueue): Promise<number> {
  const expired = await listExpired(pool, 100);
  for (const { run_id: runId, attempt } of expired) {
    const settled = await settleRun(pool, runId, attempt, { outcome: "lost", reason: "the lease ran out" });
    if (settled.outcome === "settled") await queue.enqueue(settled.next);
  }
  return expired.length;
}
