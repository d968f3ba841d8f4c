import { expireLeftStreams } from "@flotilla/shared/events/left-streams";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Redis } from "@flotilla/shared/redis/connection";
import { deleteLeftImages } from "@flotilla/shared/runs/run-retention-queries";
import type { GatewayMetrics } from "../metrics.ts";
import type { Duty } from "./maintainer.ts";
import { goesOn, step, TURN_MS } from "./sweep.ts";

const BATCH = 500;

export interface LeftoversDeps {
  pool: Pool;
  redis: Redis;
  prefix: string;
  metrics: GatewayMetrics;
  everyMs: number;
}

/** Removes what should be gone with its run already and is not: images of overwritten rows, and streams that would never expire. */
export function clearLeftovers({ pool, redis, prefix, metrics, everyMs }: LeftoversDeps): Duty {
  return {
    name: "clear leftovers",
    everyMs,
    lock: 13,
    async perform(stopping) {
      const deadline = Date.now() + TURN_MS;
      for (let deleted = BATCH; deleted >= BATCH;) {
        deleted = await step(pool, (client) => deleteLeftImages(client, BATCH));
        metrics.swept("images", deleted);
        if (!(await goesOn(deadline, stopping))) return;
      }
      if (redis.status !== "ready") return;
      const { streams, expiring } = await expireLeftStreams(redis, prefix, () => goesOn(deadline, stopping));
      metrics.swept("streams", expiring);
      if (streams !== undefined) metrics.streamsCounted(streams);
    },
  };
}
