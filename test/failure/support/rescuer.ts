import { setTimeout as delay } from "node:timers/promises";
import { listExpired, redispatchRun } from "@flotilla/shared/runs/fleet-queries";
import { settleRun } from "@flotilla/shared/runs/run-queries";
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
      await redispatchStranded(pool, queue);
      await delay(everyMs);
    }
  }
}

/** Gives runs whose lease ran out back to the queue. */
async function rescueExpired(pool: Pool, queue: RunQueue): Promise<void> {
  const expired = await listExpired(pool, 100);
  for (const { run_id: runId, attempt } of expired) {
    const settled = await settleRun(pool, runId, attempt, { outcome: "lost", reason: "the lease ran out" });
    if (settled.outcome === "settled") await queue.enqueue(settled.next);
  }
}

/** Puts runs on the queue again whose time has come, or that nobody has taken for long: some of these still are in it. */
async function redispatchStranded(pool: Pool, queue: RunQueue): Promise<void> {
  const { rows } = await pool.query<{ run_id: string }>(
    `select run_id from runs where status = 'pending'
        and (ready_at <= clock_timestamp() or dispatched_at < clock_timestamp() - interval '3 s')`,
  );
  for (const { run_id: runId } of rows) await queue.enqueue(await redispatchRun(pool, runId));
}
