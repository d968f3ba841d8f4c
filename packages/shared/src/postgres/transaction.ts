import { setTimeout as delay } from "node:timers/promises";
import { isRetryable } from "./pg-error.ts";
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
