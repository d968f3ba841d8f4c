import type { Pool } from "@flotilla/shared/postgres/pool";
import { deleteOldIdempotencyKeys } from "@flotilla/shared/runs/fleet-queries";
import type { Duty } from "./maintainer.ts";

/** Removes Idempotency-Keys that have had their 24 hours, in small batches. */
export function prune(pool: Pool): Duty {
  return {
    name: "prune",
    everyMs: 60_000,
    lock: 3,
    async perform() {
      for (let round = 0; round < 20; round++) if ((await deleteOldIdempotencyKeys(pool, 1_000)) < 1_000) return;
    },
  };
}
