import type { Pool } from "@flotilla/shared/postgres/pool";
import { deleteOldIdempotencyKeys } from "@flotilla/shared/runs/fleet-queries";
import { deleteOldOnceRecords } from "@flotilla/shared/runs/once-queries";
import type { Duty } from "./maintainer.ts";

const BATCH = 1_000;
const MOST_BATCHES = 20;
/** A run that ended with something left to do may be continued; what its nodes did outside is known for this long. */
const ONCE_KEPT_DAYS = 30;

/** Removes Idempotency-Keys that have had their 24 hours, and old results of `once`, in small batches. */
export function prune(pool: Pool): Duty {
  return {
    name: "prune",
    everyMs: 60_000,
    lock: 3,
    async perform() {
      await inBatches(() => deleteOldIdempotencyKeys(pool, BATCH));
      await inBatches(() => deleteOldOnceRecords(pool, ONCE_KEPT_DAYS, BATCH));
    },
  };
}

async function inBatches(deleteSome: () => Promise<number>): Promise<void> {
  for (let round = 0; round < MOST_BATCHES; round++) if ((await deleteSome()) < BATCH) return;
}
