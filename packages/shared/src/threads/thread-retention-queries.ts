import { only } from "../postgres/only-row.ts";
import type { Queryable } from "../postgres/pool.ts";

/** What goes of the history of threads that live on. */

export interface HistoryRetention {
  /** A thread that has not changed for this long is reduced to its newest state. */
  idleDays: number | undefined;
  /** Most checkpoints of the graph that are kept of any thread. */
  checkpoints: number | undefined;
}

export interface ThreadAddress {
  tenant_id: string;
  thread_id: string;
}

export interface ThreadToTrim extends ThreadAddress {
  /** How many checkpoints of the graph stay. */
  keep: number;
}

/**
 * Looks at a page of threads in the order of their key: those whose history is longer than it should be, and where the next page
 * begins; undefined when there is none. No index by age is needed, which each run would pay for.
 */
export async function listThreadsToTrim(
  db: Queryable,
  { idleDays, checkpoints }: HistoryRetention,
  page: { after: ThreadAddress; limit: number },
): Promise<{ threads: ThreadToTrim[]; next: ThreadAddress | undefined }> {
  const { rows } = await db.query<ThreadToTrim & { due: boolean }>(
    `with page as materialized (
       select tenant_id, thread_id, status <> 'busy' and not temporary as at_rest, trim_begun, kept_latest_at, updated_at,
              updated_at < now() - make_interval(secs => 86400 * $4::double precision) as idle
         from threads where (tenant_id, thread_id) > ($1, $2) order by tenant_id, thread_id limit $3)
     select tenant_id, thread_id, case when idle then 1 else $5::int end as keep,
            case when not at_rest or (idle is not true and $5::int is null) then false
                 when trim_begun then true
                 when idle then kept_latest_at is null or kept_latest_at < updated_at
                 else exists (select 1 from checkpoints c where c.checkpoint_ns = '' and c.thread_id = checkpoint_thread_id(tenant_id, page.thread_id)
                               order by c.seq desc offset $5::int limit 1) end as due
       from page order by tenant_id, thread_id`,
    [page.after.tenant_id, page.after.thread_id, page.limit, idleDays ?? null, checkpoints ?? null],
  );
  const last = rows.at(-1);
  return {
    threads: rows.filter(({ due }) => due).map(({ due: _due, ...thread }) => thread),
    next: rows.length < page.limit || last === undefined ? undefined : last,
  };
}

/** What a thread is trimmed by: its state as it is now. Undefined when it must not be trimmed: see `trim_thread`. */
export async function findTrimmable(db: Queryable, thread: ThreadAddress): Promise<string | undefined> {
  const { rows } = await db.query<{ updated_at: string; told: boolean }>(
    `select updated_at::text, is_told_as_changes(checkpoint_thread_id(tenant_id, thread_id)) as told
       from threads where tenant_id = $1 and thread_id = $2`,
    [thread.tenant_id, thread.thread_id],
  );
  return rows[0] === undefined || rows[0].told ? undefined : rows[0].updated_at;
}

/** Trims a thread by one step; `more` when another is needed. */
export async function trimThread(
  db: Queryable,
  { tenant_id, thread_id, keep }: ThreadToTrim,
  updatedAt: string,
  limit: number,
): Promise<"in_use" | "more" | "done"> {
  const { rows } = await db.query<{ outcome: "in_use" | "more" | "done" }>(
    "select trim_thread($1, $2, $3, $4, $5) as outcome",
    [tenant_id, thread_id, updatedAt, keep, limit],
  );
  return only(rows).outcome;
}
