import { only } from "../postgres/only-row.ts";
import type { Queryable } from "../postgres/pool.ts";
import { retryConflicts } from "../postgres/transaction.ts";
import type { Dispatch } from "./run.ts";

/** What maintenance and autoscaling ask about the runs of all tenants. */

/** Runs that are running under a lease that ran out. */
export async function listExpired(
  db: Queryable,
  limit: number,
): Promise<
  {
    run_id: string;
    attempt: number;
    tenant_id: string;
    thread_id: string;
    graph_id: string;
  }[]
> {
  const { rows } = await db.query(
    `select run_id, attempt, tenant_id, thread_id, graph_id from runs where status = 'running' and lease_expires_at < clock_timestamp()
      order by lease_expires_at limit $1`,
    [limit],
  );
  return rows;
}

/** Postgres' clock, as text that keeps its microseconds. */
export async function readClock(db: Queryable): Promise<string> {
  const { rows } = await db.query<{ now: string }>("select clock_timestamp()::text as now");
  return only(rows).now;
}

export interface StrandedBounds {
  /** Postgres' clock at the start of the sweep: what was dispatched since is not looked at again. */
  now: string;
  /** When the job that has waited longest was dispatched (Postgres time, ms); null when the queue is empty. */
  oldestWaitingMs: number | null;
  /** A job this young may be between Redis and its claim. */
  slackSeconds: number;
  limit: number;
}

/**
 * Pending runs that the queue does not hold: those whose time has come, and those dispatched before the oldest job, which a
 * first-in-first-out queue would have delivered. Costs what is stranded, not what is pending.
 */
export async function listStranded(db: Queryable, bounds: StrandedBounds): Promise<string[]> {
  const { rows } = await db.query<{ run_id: string }>({
    name: "runs_stranded",
    text: `(select run_id from runs where status = 'pending' and ready_at <= $1::timestamptz order by ready_at limit $4)
           union
           (select run_id from runs where status = 'pending' and dispatched_at is not null
               and dispatched_at < least($1::timestamptz, to_timestamp($2::double precision / 1000)) - make_interval(secs => $3)
             order by dispatched_at limit $4)`,
    values: [bounds.now, bounds.oldestWaitingMs, bounds.slackSeconds, bounds.limit],
  });
  return rows.map((row) => row.run_id);
}

/** Dispatches a run again if it is the runnable head of its thread. */
export async function redispatchRun(db: Queryable, runId: string): Promise<Dispatch | null> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: Dispatch | null }>("select redispatch_run($1) as result", [runId]);
    return rows[0]?.result ?? null;
  });
}

/**
 * Admits held runs that nobody released when there was room, and dispatches them. Costs what is released and how many tenants
 * have held runs, not what they hold.
 * @returns at most `limit`.
 */
export async function releaseHeldRuns(db: Queryable, limit: number): Promise<Dispatch[]> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: Dispatch[] }>("select release_held_runs($1) as result", [limit]);
    return only(rows).result;
  });
}

/** How many runs of one tenant may be on the queue and running, see migration 0010. Of the fleet, not of a process. */
export interface Admission {
  /** Most runs of a tenant that are on the queue and not claimed yet; 0: no bound. */
  maxQueued: number;
  /** Most runs of a tenant that run at once; undefined: no bound. */
  maxRunning: number | undefined;
}

/** @returns what held before, when that was something else. */
export async function setAdmission(
  db: Queryable,
  { maxQueued, maxRunning }: Admission,
): Promise<{ max_queued: number; max_running: number | null } | undefined> {
  const { rows } = await db.query<{ max_queued: number; max_running: number | null }>(
    `update fleet_settings f set max_queued_runs_per_tenant = $1, max_running_runs_per_tenant = $2
       from (select * from fleet_settings for update) old
      where (old.max_queued_runs_per_tenant, old.max_running_runs_per_tenant) is distinct from ($1::int, $2::int)
     returning old.max_queued_runs_per_tenant as max_queued, old.max_running_runs_per_tenant as max_running`,
    [maxQueued, maxRunning ?? null],
  );
  return rows[0];
}

export interface Demand {
  /** Held ones included. */
  runnable: number;
  /** Of these, runs that wait for their tenant's turn. */
  held: number;
  running: number;
  /** Age of the oldest run that could be running and is not, in seconds. */
  oldest_seconds: number;
}

/** What the fleet is asked for: the metric for autoscaling. The same query serves KEDA's postgresql scaler. */
export async function getDemand(db: Queryable): Promise<Demand> {
  const { rows } = await db.query<Demand>(`
    select count(*)::int as runnable, count(held_at)::int as held,
           (select count(*) from runs where status = 'running')::int as running,
           coalesce(extract(epoch from clock_timestamp() - min(coalesce(released_at, held_at))), 0)::double precision as oldest_seconds
      from runs where status = 'pending' and (released_at is not null or held_at is not null)`);
  return only(rows);
}

/** Pending runs of all tenants, counted up to `most`. */
export async function countPending(db: Queryable, most: number): Promise<number> {
  const { rows } = await db.query<{ count: number }>({
    name: "runs_pending",
    text: "select count(*)::int as count from (select from runs where status = 'pending' limit $1) p",
    values: [most],
  });
  return only(rows).count;
}

/** Pending runs of some tenants, each counted up to `most`. */
export async function countPendingOf(
  db: Queryable,
  tenantIds: readonly string[],
  most: number,
): Promise<Map<string, number>> {
  const { rows } = await db.query<{ tenant_id: string; count: number }>({
    name: "runs_pending_of_tenants",
    text: `select tenant_id, (select count(*)::int from (
                    select from runs r where r.tenant_id = t.tenant_id and r.status = 'pending' limit $2) p) as count
             from unnest($1::text[]) t (tenant_id)`,
    values: [tenantIds, most],
  });
  return new Map(rows.map((row) => [row.tenant_id, row.count]));
}

/** Dead letters that nobody has acknowledged, see dead-letter-queries.ts. */
export async function countDeadLetters(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    "select count(*)::int as count from runs where is_dead_letter(status, error) and acknowledged_at is null",
  );
  return only(rows).count;
}

/** @returns how many were deleted, at most `limit`. */
export async function deleteOldIdempotencyKeys(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from idempotency_keys where (tenant_id, key) in (
       select tenant_id, key from idempotency_keys where created_at < now() - interval '24 hours' limit $1 for update skip locked)`,
    [limit],
  );
  return rowCount ?? 0;
}
