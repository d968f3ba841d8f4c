import { toJsonb } from "../postgres/jsonb.ts";
import type { Queryable } from "../postgres/pool.ts";
import type { ThreadTtl, TtlStrategy } from "../protocol/thread-body.ts";
import type { Thread } from "./thread-queries.ts";

/** Threads as the Agent Server API shows them: made, found, changed, copied. The only SQL on `threads` besides thread-queries.ts. */

export interface ThreadRow extends Pick<Thread, "thread_id" | "graph_id" | "status" | "values" | "interrupts"> {
  metadata: Record<string, unknown>;
  config: Record<string, unknown>;
  error: unknown;
  created_at: string;
  updated_at: string;
  state_updated_at: string | null;
  ttl_strategy: TtlStrategy | null;
  ttl_minutes: number | null;
}

const COLUMNS = /* sql */ `thread_id, graph_id, status, metadata, config, "values", interrupts, error, created_at, updated_at, state_updated_at,
  ttl_strategy, ttl_minutes`;
/** The thread of a run without one is not found any more when that has ended. */
const VISIBLE = /* sql */ `(not temporary or status = 'busy')`;

export async function getThreadRow(db: Queryable, tenantId: string, threadId: string): Promise<ThreadRow | undefined> {
  const { rows } = await db.query<ThreadRow>(
    `select ${COLUMNS} from threads where tenant_id = $1 and thread_id = $2 and ${VISIBLE}`,
    [tenantId, threadId],
  );
  return rows[0];
}

/** @returns undefined when a thread of this id exists. */
export async function insertThread(
  db: Queryable,
  thread: {
    tenantId: string;
    threadId: string;
    metadata: Record<string, unknown>;
    graphId: string | undefined;
    ttl: ThreadTtl | undefined;
  },
): Promise<ThreadRow | undefined> {
  const { tenantId, threadId, metadata, graphId, ttl } = thread;
  const { rows } = await db.query<ThreadRow>(
    `insert into threads (tenant_id, thread_id, metadata, graph_id, ttl_strategy, ttl_minutes) values ($1, $2, $3, $4, $5, $6)
     on conflict do nothing returning ${COLUMNS}`,
    [tenantId, threadId, toJsonb(metadata), graphId ?? null, ttl?.strategy ?? null, ttl?.minutes ?? null],
  );
  return rows[0];
}

export interface ThreadChange {
  metadata: Record<string, unknown>;
  /** Binds a thread that has no graph. */
  graphId: string | undefined;
  /** In place of the one that the thread has. */
  ttl: ThreadTtl | undefined;
}

/** Merges metadata, key by key at the top. */
export async function patchThread(
  db: Queryable,
  tenantId: string,
  threadId: string,
  { metadata, graphId, ttl }: ThreadChange,
): Promise<ThreadRow | undefined> {
  const { rows } = await db.query<ThreadRow>(
    `update threads set metadata = metadata || $3, graph_id = coalesce(graph_id, $4), updated_at = clock_timestamp(),
            ttl_strategy = coalesce($5, ttl_strategy), ttl_minutes = coalesce($6, ttl_minutes)
      where tenant_id = $1 and thread_id = $2 and ${VISIBLE} returning ${COLUMNS}`,
    [tenantId, threadId, toJsonb(metadata), graphId ?? null, ttl?.strategy ?? null, ttl?.minutes ?? null],
  );
  return rows[0];
}

export interface ThreadFilter {
  metadata?: Record<string, unknown> | undefined;
  values?: Record<string, unknown> | undefined;
  status?: string | undefined;
  ids?: string[] | undefined;
}

/** `column` is one of a closed set, never text of a client. */
export interface ThreadOrder {
  column: "thread_id" | "status" | "created_at" | "updated_at" | "state_updated_at";
  direction: "asc" | "desc";
}

/** A page of the threads that contain what the filter says, with the number of all of them. */
export async function searchThreads(
  db: Queryable,
  tenantId: string,
  filter: ThreadFilter,
  page: { order: ThreadOrder; limit: number; offset: number },
): Promise<ThreadRow[]> {
  const { where, values } = conditions(tenantId, filter);
  const { column, direction } = page.order;
  const { rows } = await db.query<ThreadRow>(
    `select ${COLUMNS} from threads where ${where}
      order by ${column} ${direction} ${column === "state_updated_at" ? "nulls last" : ""}, thread_id ${direction}
      limit $${values.length + 1} offset $${values.length + 2}`,
    [...values, page.limit, page.offset],
  );
  return rows;
}

/** @param most counting stops there: a list says how many there are, and must not read all of them for each page. */
export async function countThreads(
  db: Queryable,
  tenantId: string,
  filter: ThreadFilter,
  most?: number,
): Promise<number> {
  const { where, values } = conditions(tenantId, filter);
  const { rows } = await db.query<{ n: number }>(
    `select count(*)::int as n from (select from threads where ${where} limit $${values.length + 1}) counted`,
    [...values, most ?? null],
  );
  return rows[0]?.n ?? 0;
}

function conditions(tenantId: string, filter: ThreadFilter): { where: string; values: unknown[] } {
  const values: unknown[] = [tenantId];
  const where = ["tenant_id = $1", VISIBLE];
  const add = (value: unknown, condition: (parameter: string) => string) => {
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  if (filter.metadata !== undefined) add(toJsonb(filter.metadata), (p) => `metadata @> ${p}::jsonb`);
  if (filter.values !== undefined) add(toJsonb(filter.values), (p) => `"values" @> ${p}::jsonb`);
  if (filter.status !== undefined) add(filter.status, (p) => `status = ${p}`);
  if (filter.ids !== undefined) add(filter.ids, (p) => `thread_id = any(${p}::text[])`);
  return { where: where.join(" and "), values };
}

/** @returns false when there is no such thread. */
export async function copyThread(db: Queryable, tenantId: string, source: string, target: string): Promise<boolean> {
  const { rows } = await db.query<{ copied: boolean }>("select copy_thread($1, $2, $3) as copied", [
    tenantId,
    source,
    target,
  ]);
  return rows[0]?.copied === true;
}
