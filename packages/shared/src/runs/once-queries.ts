import type { Queryable } from "../postgres/pool.ts";
import { only } from "../postgres/only-row.ts";

/** What `once` keeps, see 0012_once.sql. Every statement names the attempt, which must hold the run. */
export interface OnceHolder {
  tenantId: string;
  runId: string;
  attempt: number;
}

/** A call of `once`, and where its result is kept. */
export interface OnceAddress {
  taskId: string;
  key: string;
  /** Under each of these; the first is what the other side is told. */
  idempotencyKeys: [string, ...string[]];
}

/** The JSON text of a stored result; `absent`; `lost` when the attempt does not hold the run any more. */
export type OnceLookup = { state: "stored"; result: string } | { state: "absent" | "lost" };

const FIND = /* sql */ `
select exists (select from runs where run_id = $2 and tenant_id = $1 and attempt = $3 and status = 'running') as held,
       (select result from once_records where tenant_id = $1 and idempotency_key = any ($4::uuid[]) limit 1) as result`;

/** Looked up before the effect: who has lost the run must not begin it. */
export async function findOnceRecord(db: Queryable, holder: OnceHolder, address: OnceAddress): Promise<OnceLookup> {
  const { rows } = await db.query<{ held: boolean; result: string | null }>({
    name: "once_find",
    text: FIND,
    values: [holder.tenantId, holder.runId, holder.attempt, address.idempotencyKeys],
  });
  const { held, result } = only(rows);
  if (!held) return { state: "lost" };
  return result === null ? { state: "absent" } : { state: "stored", result };
}

/**
 * The fence is that of a checkpoint: `for key share` on the run's row, with the attempt, in the statement that stores. What is
 * stored first stays, so that a statement whose answer was lost may be repeated.
 */
const STORE = /* sql */ `
with held as (
  select r.run_id, r.tenant_id, r.thread_id, r.attempt
    from (select * from runs where run_id = $2 offset 0 for key share) r
   where r.tenant_id = $1 and r.attempt = $3 and r.status = 'running')
insert into once_records as kept (tenant_id, idempotency_key, run_id, attempt, thread_id, task_id, key, result)
select h.tenant_id, k.idempotency_key, h.run_id, h.attempt, h.thread_id, $5, $6, $7
  from held h, unnest($4::uuid[]) k(idempotency_key)
on conflict (tenant_id, idempotency_key) do update set result = kept.result
returning result`;

/** @returns the result that is stored now; `lost` when nothing was, because another attempt may hold the run. */
export async function storeOnceRecord(
  db: Queryable,
  holder: OnceHolder,
  address: OnceAddress,
  result: string,
): Promise<OnceLookup> {
  const { rows } = await db.query<{ result: string }>({
    name: "once_store",
    text: STORE,
    values: [
      holder.tenantId,
      holder.runId,
      holder.attempt,
      address.idempotencyKeys,
      address.taskId,
      address.key,
      result,
    ],
  });
  return rows[0] === undefined ? { state: "lost" } : { state: "stored", result: rows[0].result };
}

/**
 * Removes what a thread's tasks have kept, once a run has brought the thread to its end: none of them runs again. Records of
 * runs that began since are left alone.
 */
export async function forgetOnceRecords(db: Queryable, tenantId: string, runId: string): Promise<void> {
  await db.query({
    name: "once_forget",
    text: `delete from once_records o using runs r
            where r.run_id = $2 and r.tenant_id = $1 and r.status = 'success'
              and o.tenant_id = r.tenant_id and o.thread_id = r.thread_id and o.created_at <= r.ended_at`,
    values: [tenantId, runId],
  });
}

/** Removes records that nobody came back for. @returns how many were deleted, at most `limit`. */
export async function deleteOldOnceRecords(db: Queryable, keptDays: number, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from once_records where (tenant_id, idempotency_key) in (
       select o.tenant_id, o.idempotency_key from once_records o join runs r using (run_id)
        where o.created_at < now() - make_interval(days => $1) and r.ended_at is not null
        order by o.created_at limit $2 for update of o skip locked)`,
    [keptDays, limit],
  );
  return rowCount ?? 0;
}
