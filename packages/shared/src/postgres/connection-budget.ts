import type { Queryable } from "./pool.ts";

/** Connections that Postgres keeps for administrators, and a few for people. */
const RESERVE = 8;

/**
 * Whether this process's pool fits into what Postgres has left: replicas × POOL_MAX_SIZE must stay below `max_connections`.
 * @returns a warning for the log, or undefined.
 */
export async function checkConnectionBudget(db: Queryable, poolMaxSize: number): Promise<string | undefined> {
  const { rows } = await db.query<{ max: number; used: number }>(
    `select current_setting('max_connections')::int as max,
            (select count(*)::int from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()) as used`,
  );
  const { max, used } = rows[0] ?? { max: Infinity, used: 0 };
  const left = max - used - RESERVE;
  if (poolMaxSize <= left) return undefined;
  return `Postgres has ${Math.max(left, 0)} connections left of ${max}, and this process may open ${poolMaxSize}: lower POOL_MAX_SIZE or raise max_connections`;
}
