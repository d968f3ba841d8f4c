import { setTimeout as delay } from "node:timers/promises";
import { isConnectionFailure, isRetryable } from "./pg-error.ts";
import type { Pool, PoolClient } from "./pool.ts";

const ATTEMPTS = 6;

/** Repeats `work` while Postgres undoes it for a deadlock or a serialisation failure. `work` must be one whole transaction. */
export async function retryConflicts<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === ATTEMPTS || !isRetryable(error)) throw error;
      await delay(Math.random() * 2 ** attempt * 5);
    }
  }
}

/**
 * Repeats `work` while Postgres cannot be reached, until the signal: what a run reads is worth waiting for as long as the run
 * is this worker's. `work` must change nothing, or the same when it is repeated.
 */
export async function whileAway<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
    try {
      return await retryConflicts(work);
    } catch (error) {
      if (!isConnectionFailure(error) || signal.aborted) throw error;
      await delay(pauseMs * (0.5 + Math.random()));
    }
  }
}

/** Runs `work` in a transaction, again when Postgres asks for it. The client is destroyed when its rollback fails. */
export function inTransaction<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  return retryConflicts(async () => {
    const client = await pool.connect();
    let broken: Error | undefined;
    try {
      await client.query("begin");
      const result = await work(client);
      await client.query("commit");
      return result;
    } catch (error) {
      await client.query("rollback").catch((failure: Error) => (broken = failure));
      throw error;
    } finally {
      client.release(broken);
    }
  });
}
