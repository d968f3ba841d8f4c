import { setTimeout as delay } from "node:timers/promises";
import { inTransaction } from "@flotilla/shared/postgres/transaction";
import type { Pool, PoolClient } from "@flotilla/shared/postgres/pool";

/** How sweeps go about tables that runs need all the time: in small steps that never wait for a lock, with pauses. */

/** A turn of a sweep ends after this, in ms: the transaction of its lock may not be idle for ever. The next one goes on. */
export const TURN_MS = 60_000;
/** Between two steps, in ms. */
const PAUSE_MS = 20;

/** One step: a short transaction that gives up rather than keep anybody waiting. */
export function step<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (client) => {
    await client.query("set local lock_timeout = '100ms'; set local statement_timeout = '5s'");
    return work(client);
  });
}

/** Leaves Postgres to the runs for a moment. @returns whether the sweep is to go on. */
export async function goesOn(deadline: number, stopping: AbortSignal | undefined): Promise<boolean> {
  await delay(PAUSE_MS, undefined, { ref: false });
  return stopping?.aborted !== true && Date.now() < deadline;
}
