import type { Pool } from "@flotilla/shared/postgres/pool";
import { BEFORE_ALL, deleteOldRuns, type RunRetention } from "@flotilla/shared/runs/run-retention-queries";
import type { GatewayMetrics } from "../metrics.ts";
import type { Duty } from "./maintainer.ts";
import { goesOn, step, TURN_MS } from "./sweep.ts";

const BATCH = 500;

export interface RunRetentionDeps {
  pool: Pool;
  metrics: GatewayMetrics;
  everyMs: number;
  retention: RunRetention;
}

/** Deletes the rows of runs that ended long ago. A turn that has to end early is gone on with by the next one of this gateway. */
export function retainRuns({ pool, metrics, everyMs, retention }: RunRetentionDeps): Duty {
  let after = BEFORE_ALL;
  return {
    name: "retain runs",
    everyMs,
    lock: 11,
    async perform(stopping) {
      const deadline = Date.now() + TURN_MS;
      do {
        const { deleted, next } = await step(pool, (client) =>
          deleteOldRuns(client, retention, { after, limit: BATCH }),
        );
        metrics.swept("runs", deleted);
        after = next ?? BEFORE_ALL;
        if (next === undefined) return;
      } while (await goesOn(deadline, stopping));
    },
  };
}
