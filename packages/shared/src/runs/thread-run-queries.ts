import type { Queryable } from "../postgres/pool.ts";

/** The runs of a thread in the order in which they start, for its stream. */

export interface RunToFollow {
  run_id: string;
  /** Place in the order of acceptance. */
  seq: string;
  /** Postgres' text, with its microseconds; null before the first attempt. */
  started_at: string | null;
}

const COLUMNS = /* sql */ `run_id, seq::text, started_at::text`;

/**
 * The run to follow after a position: the first that started later, else the one whose turn is next. After `now`, only one
 * that has not ended.
 */
export async function findRunToFollow(
  db: Queryable,
  tenantId: string,
  threadId: string,
  position: { startedAt: string; skipped: readonly string[] },
): Promise<RunToFollow | undefined> {
  const fromNow = position.startedAt === "now";
  const { rows } = await db.query<RunToFollow>(
    `(select ${COLUMNS}, 0 as turn from runs
       where tenant_id = $1 and thread_id = $2 and started_at > $3::timestamptz and not $5
       order by started_at, seq limit 1)
     union all
     (select ${COLUMNS}, 1 as turn from runs
       where run_id = thread_head($1, $2) and not (run_id = any($4::uuid[]))
         and (started_at is null or $5 or started_at > $3::timestamptz))
     order by turn limit 1`,
    [tenantId, threadId, fromNow ? "-infinity" : position.startedAt, position.skipped, fromNow],
  );
  return rows[0];
}

export async function findRunBySeq(
  db: Queryable,
  tenantId: string,
  threadId: string,
  seq: string,
): Promise<RunToFollow | undefined> {
  const { rows } = await db.query<RunToFollow>(
    `select ${COLUMNS} from runs where tenant_id = $1 and thread_id = $2 and seq = $3`,
    [tenantId, threadId, seq],
  );
  return rows[0];
}
