import type { Queryable } from "../postgres/pool.ts";
import { retryConflicts } from "../postgres/transaction.ts";

/** Threads whose time has come. */

/** `delete` erases the thread; `keep_latest` all but its newest state. */
export type TtlStrategy = "delete" | "keep_latest";

/** A time to live, counted from the last change of the thread's row: a run, an edit or a patch. */
export interface ThreadTtl {
  strategy: TtlStrategy;
  minutes: number;
}

export interface ExpiredThread {
  tenant_id: string;
  thread_id: string;
  strategy: TtlStrategy;
  /** The row's `updated_at`, as text that keeps its microseconds: for `pruneThread`. */
  unchanged_since: string;
}

const ROW = "tenant_id, thread_id, updated_at::text as unchanged_since";
/** The predicates of the indexes, to the letter. */
const OWN = `ttl_minutes is not null and (ttl_strategy = 'delete' or kept_latest_at is null or kept_latest_at < updated_at)`;
const DEFAULT = `ttl_minutes is null and (kept_latest_at is null or kept_latest_at < updated_at)`;
const KEPT_LATEST = `ttl_minutes is null and kept_latest_at >= updated_at`;

/**
 * Threads that are due, of all tenants, longest first: those with a time to live of their own, and with `byDefault` those
 * without. What a run is in flight on is left out.
 *
 * `now()`, not `clock_timestamp()`: only the former is a bound that an index can be read to.
 */
export async function listExpiredThreads(
  db: Queryable,
  byDefault: ThreadTtl | undefined,
  limit: number,
): Promise<ExpiredThread[]> {
  const own = await db.query<ExpiredThread>(
    `select ${ROW}, ttl_strategy as strategy from threads
      where ${OWN} and thread_expiry(updated_at, ttl_minutes) <= now() and status <> 'busy'
      order by thread_expiry(updated_at, ttl_minutes) limit $1`,
    [limit],
  );
  if (byDefault === undefined || own.rows.length === limit) return own.rows;
  const due = (predicate: string) => `(
    select ${ROW}, $2::text as strategy, updated_at from threads
     where ${predicate} and updated_at <= now() - make_interval(secs => $3) and status <> 'busy' order by updated_at limit $1)`;
  const sources = byDefault.strategy === "delete" ? [due(DEFAULT), due(KEPT_LATEST)] : [due(DEFAULT)];
  const others = await db.query<ExpiredThread>(
    `select tenant_id, thread_id, unchanged_since, strategy from (${sources.join(" union all ")}) due
      order by updated_at limit $1`,
    [limit - own.rows.length, byDefault.strategy, byDefault.minutes * 60],
  );
  return [...own.rows, ...others.rows];
}

export type PruneOutcome =
  { outcome: "missing" | "changed" | "in_flight" | "kept" } | { outcome: "deleted"; run_ids: string[] };

/**
 * Deletes a thread, or all but its newest state, unless a run of it is in flight.
 * @param unchangedSince of a sweep: nothing happens when the thread has changed since.
 */
export async function pruneThread(
  db: Queryable,
  thread: { tenantId: string; threadId: string; strategy: TtlStrategy; unchangedSince?: string },
): Promise<PruneOutcome> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: PruneOutcome }>("select prune_thread($1, $2, $3, $4) as result", [
      thread.tenantId,
      thread.threadId,
      thread.strategy,
      thread.unchangedSince ?? null,
    ]);
    return rows[0]?.result ?? { outcome: "missing" };
  });
}
