import { messageOf } from "@flotilla/shared/errors";
import { errorCode, isConnectionFailure } from "@flotilla/shared/postgres/pg-error";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Failpoint } from "@flotilla/shared/process/failpoints";
import type { Logger } from "@flotilla/shared/process/logger";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import { listExpired } from "@flotilla/shared/runs/fleet-queries";
import { settleRun } from "@flotilla/shared/runs/run-queries";
import type { GatewayMetrics } from "../metrics.ts";
import type { ThreadStates } from "../threads/thread-state.ts";
import type { RunSignals } from "../runs/run-signals.ts";
import type { Duty } from "./maintainer.ts";

export interface RescueDeps {
  pool: Pool;
  queue: RunQueue;
  signals: RunSignals;
  states: ThreadStates;
  metrics: GatewayMetrics;
  logger: Logger;
  failpoint: Failpoint;
  leaseSeconds: number;
}

const EVERY_MS = 500;
const BATCH = 100;
/** No contact with Postgres for this long is a pause, in ms. */
const PAUSE_MS = 2_000;

/**
 * Gives runs whose lease ran out back to the queue, or ends those that carry a cancel or have lost too many workers.
 *
 * After Postgres was away every lease may have run out, whoever is alive: what is lost in the time of a lease after a pause
 * does not count against a run.
 */
export function rescueRuns(deps: RescueDeps): Duty {
  const contact = new PostgresContact(deps.leaseSeconds * 1000);
  return {
    name: "rescue runs",
    everyMs: EVERY_MS,
    lock: 1,
    onContact: () => contact.made(),
    async perform() {
      const expired = await listExpired(deps.pool, BATCH);
      for (const run of expired) {
        await rescueOne(deps, run, contact.isSteady).then(
          () => contact.made(), // a long turn is no pause
          (error: unknown) => {
            if (!isConnectionFailure(error) || errorCode(error) === LOCK_NOT_AVAILABLE) contact.made();
            // One run whose rows are locked must not keep the others from their rescue; it comes again in the next turn.
            deps.logger.warn({ run_id: run.run_id, err: messageOf(error) }, "a run could not be rescued yet");
          },
        );
      }
    },
  };
}

const LOCK_NOT_AVAILABLE = "55P03";

/** Whether Postgres has answered without a pause for as long as a lease lasts. */
export class PostgresContact {
  readonly #leaseMs: number;
  readonly #now: () => number;
  #last: number;
  #steadyFrom = 0;

  constructor(leaseMs: number, now: () => number = () => performance.now()) {
    this.#leaseMs = leaseMs;
    this.#now = now;
    this.#last = now();
  }

  made(): void {
    const now = this.#now();
    if (now - this.#last > PAUSE_MS) this.#steadyFrom = now + this.#leaseMs;
    this.#last = now;
  }

  get isSteady(): boolean {
    return this.#now() >= this.#steadyFrom;
  }
}

async function rescueOne(deps: RescueDeps, run: Expired, counts: boolean): Promise<void> {
  await deps.failpoint("before_rescue");
  const settled = await settleRun(deps.pool, run.run_id, run.attempt, {
    outcome: "lost",
    reason: "the lease ran out",
    counts,
  });
  await deps.failpoint("after_rescue");
  if (settled.outcome === "fenced") return; // renewed or settled in between
  deps.logger.warn({ run_id: run.run_id, attempt: run.attempt, became: settled.status }, "a lease ran out");
  deps.metrics.rescued(run.graph_id, settled.status);
  await deps.queue.enqueue(settled.next);
  if (settled.status === "pending") return;
  // It ended here: by a cancel, or because it lost too many workers. What it left in its checkpoints goes to the thread's row.
  await deps.states.refreshStale(run.tenant_id, run.thread_id).catch((error: unknown) => {
    deps.logger.warn(
      { thread_id: run.thread_id, err: messageOf(error) },
      "the state of a thread could not be read yet",
    );
  });
  deps.signals.cancelled(run.run_id, "pending");
}

type Expired = Awaited<ReturnType<typeof listExpired>>[number];
