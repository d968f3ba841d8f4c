import { toJsonb } from "../postgres/jsonb.ts";
import type { PoolClient, Queryable } from "../postgres/pool.ts";
import { retryConflicts } from "../postgres/transaction.ts";

/** The only SQL on `threads`, besides the functions of the migrations. */

export interface Thread {
  tenant_id: string;
  thread_id: string;
  graph_id: string | null;
  status: "idle" | "busy" | "interrupted" | "error";
  values: unknown;
  interrupts: Record<string, { id?: string; value: unknown }[]>;
  /** `values` and `interrupts` are older than the checkpoints: a run that had begun ended without its worker. */
  is_stale: boolean;
  /** What the status is when no run is in flight. */
  settled_status: "idle" | "interrupted" | "error";
}

const COLUMNS = `tenant_id, thread_id, graph_id, status, "values", interrupts, state_stale_at is not null as is_stale, settled_status`;

export async function getThread(db: Queryable, tenantId: string, threadId: string): Promise<Thread | undefined> {
  const { rows } = await db.query<Thread>(`select ${COLUMNS} from threads where tenant_id = $1 and thread_id = $2`, [
    tenantId,
    threadId,
  ]);
  return rows[0];
}

/**
 * Takes the thread's row for an edit. While the transaction lasts no run of the thread can start: a claim takes the row first.
 * @returns the thread and whether a run of it is pending or running.
 */
export async function lockThread(
  client: PoolClient,
  tenantId: string,
  threadId: string,
): Promise<(Thread & { in_flight: boolean }) | undefined> {
  const { rows } = await client.query<Thread>(
    `select ${COLUMNS} from threads where tenant_id = $1 and thread_id = $2 for update`,
    [tenantId, threadId],
  );
  const [thread] = rows;
  if (thread === undefined) return undefined;
  // After the lock: a statement of its own sees what committed before it.
  const runs = await client.query<{ in_flight: boolean }>("select has_run_in_flight($1, $2) as in_flight", [
    tenantId,
    threadId,
  ]);
  return { ...thread, in_flight: runs.rows[0]?.in_flight === true };
}

export interface EditedState {
  values: unknown;
  interrupts: Record<string, unknown[]>;
  /** `error` keeps the error that the thread has. */
  status: "idle" | "interrupted" | "error";
}

/** Writes what the thread's checkpoints say to its row, which the caller holds. No run may be in flight. */
export async function storeEditedState(
  client: PoolClient,
  tenantId: string,
  threadId: string,
  state: EditedState,
): Promise<void> {
  await client.query(
    `update threads set "values" = $3, values_run_id = null, interrupts = $4, status = $5, settled_status = $5,
            error = case when $5 = 'error' then error end, state_stale_at = null,
            updated_at = clock_timestamp(), state_updated_at = clock_timestamp()
      where tenant_id = $1 and thread_id = $2`,
    [tenantId, threadId, toJsonb(state.values), toJsonb(state.interrupts), state.status],
  );
}

/** Threads whose row has been stale for a moment: whoever made it so was to read the checkpoints again, and has died since. */
export async function listStaleThreads(
  db: Queryable,
  olderThanSeconds: number,
  limit: number,
): Promise<{ tenant_id: string; thread_id: string }[]> {
  const { rows } = await db.query<{ tenant_id: string; thread_id: string }>(
    `select tenant_id, thread_id from threads
      where state_stale_at < clock_timestamp() - make_interval(secs => $1) order by state_stale_at limit $2`,
    [olderThanSeconds, limit],
  );
  return rows;
}

/** Lets a stale row wait: a run of the thread is in flight and will write it, or its graph cannot be loaded. */
export async function postponeStaleThread(
  db: Queryable,
  tenantId: string,
  threadId: string,
  seconds: number,
): Promise<void> {
  await db.query(
    `update threads set state_stale_at = clock_timestamp() + make_interval(secs => $3)
      where tenant_id = $1 and thread_id = $2 and state_stale_at is not null`,
    [tenantId, threadId, seconds],
  );
}

/**
 * Threads that were made for one run without a thread, whose run ended so long ago that nobody follows it any more. One with a
 * dead letter stays longer, until that is acknowledged or old: it can be replayed on this thread only.
 */
export async function listEndedTemporaryThreads(
  db: Queryable,
  olderThanSeconds: number,
  deadLetterSeconds: number,
  limit: number,
): Promise<{ tenant_id: string; thread_id: string }[]> {
  const { rows } = await db.query<{ tenant_id: string; thread_id: string }>(
    `select tenant_id, thread_id from threads t
      where temporary and status <> 'busy' and updated_at < clock_timestamp() - make_interval(secs => $1)
        and not exists (select 1 from runs r
          where r.tenant_id = t.tenant_id and r.thread_id = t.thread_id and is_dead_letter(r.status, r.error)
            and r.acknowledged_at is null and r.ended_at > clock_timestamp() - make_interval(secs => $2))
      order by updated_at limit $3`,
    [olderThanSeconds, deadLetterSeconds, limit],
  );
  return rows;
}

/** Threads whose first run, or whoever made them, named the assistant. */
export async function listThreadsOfAssistant(
  db: Queryable,
  tenantId: string,
  assistantId: string,
  limit: number,
): Promise<string[]> {
  const { rows } = await db.query<{ thread_id: string }>(
    "select thread_id from threads where tenant_id = $1 and metadata @> $2 order by thread_id limit $3",
    [tenantId, toJsonb({ assistant_id: assistantId }), limit],
  );
  return rows.map((row) => row.thread_id);
}

/** `next`: a held run of the tenant, which takes the place of one that waited here; whoever deletes enqueues it. */
export type DeleteOutcome =
  | { outcome: "missing" }
  | { outcome: "running"; running: { run_id: string; attempt: number }; next: QueuedRun | null }
  | { outcome: "deleted"; run_ids: string[]; next: QueuedRun | null };

/** A `Dispatch` of runs. */
interface QueuedRun {
  run_id: string;
  attempt: number;
  dispatch: number;
  dispatched_at: number;
}

/** Erases a thread with its runs, checkpoints and keys, unless a run of it is running. */
export async function deleteThread(db: Queryable, tenantId: string, threadId: string): Promise<DeleteOutcome> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: DeleteOutcome }>("select delete_thread($1, $2) as result", [
      tenantId,
      threadId,
    ]);
    return rows[0]?.result ?? { outcome: "missing" };
  });
}

/** Threads with a run in flight. */
export async function countBusyThreads(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::int as n from (
       select tenant_id, thread_id from runs where status = 'running'
       union select tenant_id, thread_id from runs where status = 'pending') busy`,
  );
  return rows[0]?.n ?? 0;
}
