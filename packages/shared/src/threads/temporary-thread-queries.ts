import type { Queryable } from "../postgres/pool.ts";

/** Threads that were made for one run without a thread, whose run ended so long ago that nobody follows it any more. */
export async function listEndedTemporaryThreads(
  db: Queryable,
  olderThanSeconds: number,
  limit: number,
): Promise<{ tenant_id: string; thread_id: string }[]> {
  const { rows } = await db.query<{ tenant_id: string; thread_id: string }>(
    `select tenant_id, thread_id from threads
      where temporary and status <> 'busy' and updated_at < clock_timestamp() - make_interval(secs => $1)
      order by updated_at limit $2`,
    [olderThanSeconds, limit],
  );
  return rows;
}
