import { messageOf } from "@flotilla/shared/errors";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Logger } from "@flotilla/shared/process/logger";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import { listExpired, settleRun, type Settlement } from "@flotilla/shared/runs/run-queries";
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
  let lastContact = Date.now();
  let amnestyUntil = 0;
  return {
    name: "rescue runs",
    everyMs: EVERY_MS,
    lock: 1,
    onContact() {
      const now = Date.now();
      if (now - lastContact > PAUSE_MS) amnestyUntil = now + deps.leaseSeconds * 1000;
      lastContact = now;
    },
    async perform() {
      const expired = await listExpired(deps.pool, BATCH);
      for (const run of expired) {
        await rescueOne(deps, run, Date.now() >= amnestyUntil).catch((error: unknown) => {
          // One run whose rows are locked must not keep the others from their rescue; it comes again in the next turn.
          deps.logger.warn({ run_id: run.run_id, err: messageOf(error) }, "a run could not be rescued yet");
        });
      }
    },
  };
}

async function rescueOne(deps: RescueDeps, run: Expired, counts: boolean): Promise<void> {
  const settled = await settleRun(deps.pool, run.run_id, run.attempt, await settlementOf(deps, run, counts));
  if (settled.outcome === "fenced") return; // renewed or settled in between
  deps.logger.warn({ run_id: run.run_id, attempt: run.attempt, became: settled.status }, "a lease ran out");
  deps.metrics.rescued(settled.status);
  if (settled.status !== "pending") deps.signals.cancelled(run.run_id, "pending");
  await deps.queue.enqueue(settled.next);
}

type Expired = Awaited<ReturnType<typeof listExpired>>[number];

/** A run that is cancelled ends here, with the state that its checkpoints hold. */
async function settlementOf(deps: RescueDeps, run: Expired, counts: boolean): Promise<Settlement> {
  const base: Settlement = { outcome: "lost", reason: "the lease ran out", counts };
  if (run.cancel_action !== "interrupt") return base;
  const state = await deps.states.read(run.tenant_id, run.thread_id, run.graph_id).catch(() => undefined);
  if (state === undefined || state.created_at === null) return base;
  const byTask = (state.tasks as { id: string; interrupts: unknown[]; result: unknown }[]).filter(
    (task) => task.interrupts.length > 0 && task.result === null,
  );
  return {
    ...base,
    values: state.values,
    interrupts: Object.fromEntries(byTask.map((task) => [task.id, task.interrupts])),
    hasNext: state.next.length > 0,
  };
}
