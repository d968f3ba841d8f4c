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
}

const COLUMNS = `tenant_id, thread_id, graph_id, status, "values", interrupts`;

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
  status: "idle" | "interrupted";
}

/** Writes what an edit has made of the thread. The caller holds its row. */
export async function storeEditedState(
  client: PoolClient,
  tenantId: string,
  threadId: string,
  state: EditedState,
): Promise<void> {
  await client.query(
    `update threads set "values" = $3, values_run_id = null, interrupts = $4, status = $5, settled_status = $5, error = null,
            updated_at = clock_timestamp(), state_updated_at = clock_timestamp()
      where tenant_id = $1 and thread_id = $2`,
    [tenantId, threadId, toJsonb(state.values), toJsonb(state.interrupts), state.status],
  );
}

export type DeleteOutcome =
  | { outcome: "missing" }
  | { outcome: "running"; running: { run_id: string; attempt: number } }
  | { outcome: "deleted"; run_ids: string[] };

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
