import type { Queryable } from "../postgres/pool.ts";
import type { Run } from "./run.ts";

/** The runs of a thread in the order in which they start, for its stream. */

export interface RunToFollow extends Pick<Run, "run_id" | "status" | "attempt" | "ended_at"> {
  /** Place in the order of acceptance. */
  seq: string;
  /** Postgres' text, with its microseconds; null before the first attempt. */
  started_at: string | null;
}

const COLUMNS = /* sql */ `run_id, status, attempt, ended_at, seq::text, started_at::text`;

/** The run of a thread that is running, or whose turn is next. */
export async function findRunInFlight(
  db: Queryable,
  tenantId: string,
  threadId: string,
): Promise<RunToFollow | undefined> {
  const { rows } = await db.query<RunToFollow>(`select ${COLUMNS} from runs where run_id = thread_head($1, $2)`, [
    tenantId,
    threadId,
  ]);
  return rows[0];
}

/**
 * The run to follow after those that started by `startedAt`: the first that started later, else the one whose turn is next,
 * unless it is one of `skipped`.
 */
export async function findRunToFollow(
  db: Queryable,
  tenantId: string,
  threadId: string,
  { startedAt, skipped }: { startedAt: string; skipped: readonly string[] },
): Promise<RunToFollow | undefined> {
  const { rows } = await db.query<RunToFollow>(
    `select ${COLUMNS} from runs
      where tenant_id = $1 and thread_id = $2 and started_at > $3::timestamptz
      order by started_at, seq limit 1`,
    [tenantId, threadId, startedAt],
  );
  if (rows[0] !== undefined) return rows[0];
  const next = await findRunInFlight(db, tenantId, threadId);
  // One that started between the two looks is the next as well; only the one that was followed just now is not.
  const wasFollowed = next === undefined || next.started_at === startedAt || skipped.includes(next.run_id);
  return wasFollowed ? undefined : next;
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
