import { only } from "../postgres/only-row.ts";
import type { Queryable } from "../postgres/pool.ts";

/** What goes of runs, and of what they have left, after they have ended. */

export interface RunRetention {
  /** Since its end. */
  days: number;
  /** The same of dead letters that nobody has acknowledged, see dead-letter-queries.ts; what is longer counts. */
  deadLetterDays: number;
}

/** Before the first run id. */
export const BEFORE_ALL = "00000000-0000-0000-0000-000000000000";

/**
 * Looks at a page of runs in the order of their ids, which is that of their making, and deletes the rows of those that ended long
 * ago. No index by end is needed, which each run would pay for. The newest run of a thread stays while the thread does: its config
 * is that with which the thread's state is read. Rows that somebody holds are passed over, and no thread is locked.
 * @returns how many were deleted, and where the next page begins; undefined when there is none.
 */
export async function deleteOldRuns(
  db: Queryable,
  { days, deadLetterDays }: RunRetention,
  page: { after: string; limit: number },
): Promise<{ deleted: number; next: string | undefined }> {
  const { rows } = await db.query<{ deleted: number; seen: number; last: string | null }>(
    `with page as materialized (
       select run_id, tenant_id, thread_id, seq, ended_at, is_dead_letter(status, error) and acknowledged_at is null as dead
         from runs where run_id > $1 and run_id < $2 order by run_id limit $3),
     old as materialized (
       select p.run_id from page p
        where p.ended_at < now() - make_interval(secs => 86400 * case when p.dead then greatest($4::double precision, $5) else $4 end)
          and exists (select 1 from runs n where n.tenant_id = p.tenant_id and n.thread_id = p.thread_id and n.seq > p.seq)),
     held as materialized (
       select r.run_id from old o
        cross join lateral (select run_id from runs where run_id = o.run_id offset 0 for update skip locked) r),
     gone as (delete from runs using held where runs.run_id = held.run_id returning 1)
     select (select count(*)::int from gone) as deleted, (select count(*)::int from page) as seen,
            (select run_id from page order by run_id desc limit 1) as last`,
    [page.after, firstIdOf(Date.now() - days * 86_400_000), page.limit, days, deadLetterDays],
  );
  const { deleted, seen, last } = only(rows);
  return { deleted, next: seen < page.limit || last === null ? undefined : last };
}

/** The least id (UUIDv7) of a run that is made at this time, in ms. */
function firstIdOf(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/**
 * Images of overwritten rows whose run is not in flight any more: whoever ends a run removes them with it, so this finds what a
 * restored backup or a mistake has left. One look sees image and run together: an image that is there and its run is not in flight
 * will never be put back.
 * @returns how many were deleted, at most twice the limit.
 */
export async function deleteLeftImages(db: Queryable, limit: number): Promise<number> {
  let deleted = 0;
  for (const table of ["overwritten_writes", "overwritten_checkpoints"]) {
    const { rowCount } = await db.query(
      `delete from ${table} where ctid = any (array(
         select i.ctid from ${table} i where not exists (
           select 1 from runs r where r.run_id = i.overwritten_by and r.ended_at is null) limit $1 for update skip locked))`,
      [limit],
    );
    deleted += rowCount ?? 0;
  }
  return deleted;
}
