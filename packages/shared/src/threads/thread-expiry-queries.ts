import type { Queryable } from "../postgres/pool.ts";
import { retryConflicts } from "../postgres/transaction.ts";
import type { TtlStrategy } from "../protocol/thread-body.ts";

/** Threads whose time comes, and what is kept of them. */

/** The time to live of a thread as clients see it, counted from its last change; null for one that stays. */
export async function getThreadTtl(
  db: Queryable,
  tenantId: string,
  threadId: string,
): Promise<{ strategy: string; ttl_minutes: number; expires_at: Date } | null> {
  const { rows } = await db.query<{ strategy: string; ttl_minutes: number; expires_at: Date }>(
    `select ttl_strategy as strategy, ttl_minutes, thread_expiry(updated_at, ttl_minutes) as expires_at
       from threads where tenant_id = $1 and thread_id = $2 and ttl_minutes is not null`,
    [tenantId, threadId],
  );
  return rows[0] ?? null;
}

/**
 * Threads whose time has come, of all tenants, the one that is due longest first; not those with a run in flight.
 *
 * The condition is that of the index, to the letter. `now()`, not `clock_timestamp()`: only the former is a bound that an index
 * can be read to.
 */
export async function listExpiredThreads(
  db: Queryable,
  limit: number,
): Promise<{ tenant_id: string; thread_id: string }[]> {
  const { rows } = await db.query<{ tenant_id: string; thread_id: string }>(
    `select tenant_id, thread_id from threads
      where ttl_minutes is not null and not temporary
        and (ttl_strategy = 'delete' or kept_latest_at is null or kept_latest_at < updated_at)
        and thread_expiry(updated_at, ttl_minutes) <= now() and status <> 'busy'
      order by thread_expiry(updated_at, ttl_minutes) limit $1`,
    [limit],
  );
  return rows;
}

export type PruneOutcome =
  | { outcome: "missing" | "in_use" | "in_flight" | "kept" }
  /** The runs that went with it. */
  | { outcome: "deleted"; run_ids: string[] };

/** Erases a thread, or all but its newest state, unless a run of it is in flight. */
export async function pruneThread(
  db: Queryable,
  tenantId: string,
  threadId: string,
  strategy: TtlStrategy,
): Promise<PruneOutcome> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: PruneOutcome }>("select prune_thread($1, $2, $3) as result", [
      tenantId,
      threadId,
      strategy,
    ]);
    return rows[0]?.result ?? { outcome: "missing" };
  });
}

/** Does to a thread what its time to live says, if its time has come by what the row says now. One that is in use is left alone. */
export async function expireThread(db: Queryable, tenantId: string, threadId: string): Promise<PruneOutcome> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: PruneOutcome }>("select expire_thread($1, $2) as result", [
      tenantId,
      threadId,
    ]);
    return rows[0]?.result ?? { outcome: "missing" };
  });
}
