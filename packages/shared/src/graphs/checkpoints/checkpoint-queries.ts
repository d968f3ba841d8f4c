import type { QueryConfig } from "pg";
import type { Queryable } from "../../postgres/pool.ts";

/** Who writes: the run and the attempt that its worker holds. Every statement checks it in Postgres. */
export interface Fence {
  runId: string;
  attempt: number;
}

export type BlobRow = [threadId: string, ns: string, channel: string, version: string, type: string, blob: Buffer];
export type WriteRow = [
  threadId: string,
  ns: string,
  checkpointId: string,
  taskId: string,
  idx: number,
  channel: string,
  type: string,
  blob: Buffer,
  taskPath: string,
];
export type CheckpointRowIn = [
  threadId: string,
  ns: string,
  checkpointId: string,
  parentId: string | null,
  checkpoint: string,
  metadata: string,
  /** How many events the attempt had appended when the checkpoint was sent to Postgres; null where nobody counts. */
  events: number | null,
];

/** Rows of one `put` or `putWrites`. `bytes` is their size, roughly. */
export interface CheckpointRows {
  blobs: BlobRow[];
  writes: WriteRow[];
  checkpoints: CheckpointRowIn[];
  bytes: number;
  /** Called when the rows are taken for a statement, after everything that was under way when they were made. */
  onTaken?(): void;
}

const COLUMNS = /* sql */ `
  k.thread_id, k.checkpoint_ns, k.checkpoint_id, k.parent_checkpoint_id, k.checkpoint, k.metadata, k.run_id,
  checkpoint_values(k.thread_id, k.checkpoint_ns, k.checkpoint) as channel_values,
  checkpoint_pending_writes(k.thread_id, k.checkpoint_ns, k.checkpoint_id) as pending_writes`;

/** The checkpoint stored last, by Postgres' own sequence: checkpoint ids are a worker's clock. */
export function selectLatest(threadId: string, ns: string): QueryConfig {
  return {
    name: "checkpoint_latest",
    text: `select ${COLUMNS} from checkpoints k where k.thread_id = $1 and k.checkpoint_ns = $2 order by k.seq desc limit 1`,
    values: [threadId, ns],
  };
}

export function selectById(threadId: string, ns: string, checkpointId: string): QueryConfig {
  return {
    name: "checkpoint_by_id",
    text: `select ${COLUMNS} from checkpoints k where k.thread_id = $1 and k.checkpoint_ns = $2 and k.checkpoint_id = $3`,
    values: [threadId, ns, checkpointId],
  };
}

/** What the tasks of the parent's step send to nodes of this one, in the order in which LangGraph applies it. */
export function selectPendingSends(row: {
  thread_id: string;
  checkpoint_ns: string;
  parent_checkpoint_id: string | null;
}): QueryConfig {
  return {
    text: `select type, blob_text(type, blob) as value from checkpoint_writes
            where thread_id = $1 and checkpoint_ns = $2 and checkpoint_id = $3 and channel = '__pregel_tasks'
            order by task_path collate "C", task_id collate "C", idx`,
    values: [row.thread_id, row.checkpoint_ns, row.parent_checkpoint_id],
  };
}

export interface ListFilter {
  threadId: string;
  ns?: string | undefined;
  checkpointId?: string | undefined;
  /** Checkpoints stored before this one, whatever its namespace. */
  before?: string | undefined;
  /** JSON text; metadata contains it. */
  metadata?: string | undefined;
  limit?: number | undefined;
}

/** Newest first. */
export function selectList(filter: ListFilter): QueryConfig {
  const values: unknown[] = [filter.threadId];
  const where = ["k.thread_id = $1"];
  const add = (value: unknown, condition: (parameter: string) => string) => {
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  if (filter.ns !== undefined) add(filter.ns, (p) => `k.checkpoint_ns = ${p}`);
  if (filter.checkpointId !== undefined) add(filter.checkpointId, (p) => `k.checkpoint_id = ${p}`);
  if (filter.metadata !== undefined) add(filter.metadata, (p) => `k.metadata @> ${p}::jsonb`);
  if (filter.before !== undefined) {
    add(
      filter.before,
      (p) => `k.seq < (select min(b.seq) from checkpoints b where b.thread_id = $1 and b.checkpoint_id = ${p})`,
    );
  }
  let text = `select ${COLUMNS} from checkpoints k where ${where.join(" and ")} order by k.seq desc`;
  if (filter.limit !== undefined) {
    values.push(filter.limit);
    text += ` limit $${values.length}`;
  }
  return { text, values };
}

/**
 * One statement for the rows of many runs, each fenced on its own: only rows of runs that are running under the given
 * attempt are stored. The row locks are taken in the order of run ids, as in renewals: unordered, two groups and a renewal
 * deadlock. `for key share` does not conflict with a renewal, and does conflict with the FOR UPDATE of whatever ends an
 * attempt. A row of another run that is overwritten is kept as an image for a rollback.
 *
 * Each run is looked up by its id and judged afterwards: with the status in the same condition, Postgres walks the index of
 * all running runs instead (6 ms a group with 5000 of them).
 *
 * Whose row is locked is passed over (`skip locked`): a long rollback of one run must not hold up the others. A run that was
 * passed over is written by a statement of its own, which waits; only that may say that the lease is lost.
 */
const writeGroupSql = (locked: "skip locked" | "") => /* sql */ `
with fence(run_id, attempt) as (select * from unnest($1::uuid[], $2::int[])),
held as (
  select f.run_id from (select * from fence order by run_id) f
   cross join lateral (select attempt, status from runs where run_id = f.run_id offset 0 for key share ${locked}) r
   where r.attempt = f.attempt and r.status = 'running'),
new_blobs as (
  insert into checkpoint_blobs (run_id, thread_id, checkpoint_ns, channel, version, type, blob)
  select * from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bytea[]) t(a, b, c, d, e, f, g)
   where a in (select run_id from held)
  on conflict do nothing),
writes(run_id, thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path) as (
  select * from unnest($10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[], $15::int[], $16::text[], $17::text[], $18::bytea[], $19::text[])
    t(a, b, c, d, e, f, g, h, i, j) where a in (select run_id from held)),
write_images as (
  insert into overwritten_writes (overwritten_by, thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, run_id, task_path)
  select n.run_id, o.thread_id, o.checkpoint_ns, o.checkpoint_id, o.task_id, o.idx, o.channel, o.type, o.blob, o.run_id, o.task_path
    from writes n join checkpoint_writes o using (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
   where o.run_id is distinct from n.run_id
  on conflict do nothing),
new_writes as (
  insert into checkpoint_writes (run_id, thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path)
  select * from writes
  on conflict (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
    do update set channel = excluded.channel, type = excluded.type, blob = excluded.blob, run_id = excluded.run_id, task_path = excluded.task_path),
points(run_id, thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, events, n) as (
  select * from unnest($20::uuid[], $21::text[], $22::text[], $23::text[], $24::text[], $25::jsonb[], $26::jsonb[], $27::bigint[])
    with ordinality t(a, b, c, d, e, f, g, h, n)
   where a in (select run_id from held)),
point_images as (
  insert into overwritten_checkpoints (overwritten_by, thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, run_id, seq)
  select n.run_id, o.thread_id, o.checkpoint_ns, o.checkpoint_id, o.parent_checkpoint_id, o.checkpoint, o.metadata, o.run_id, o.seq
    from points n join checkpoints o using (thread_id, checkpoint_ns, checkpoint_id)
   where o.run_id is distinct from n.run_id
  on conflict do nothing),
new_points as (
  insert into checkpoints (run_id, thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, events)
  select run_id, thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, events from points order by n
  on conflict (thread_id, checkpoint_ns, checkpoint_id)
    do update set checkpoint = excluded.checkpoint, metadata = excluded.metadata, run_id = excluded.run_id, events = excluded.events)
select run_id from held`;

const PASS_OVER = { name: "checkpoint_write_group", text: writeGroupSql("skip locked") };
const WAIT = { name: "checkpoint_write_waiting", text: writeGroupSql("") };

/**
 * The statement for a group. Returns the ids of the runs whose rows were stored.
 * @param waits for rows that are locked; otherwise their runs are passed over.
 */
export function writeGroup(group: { fence: Fence; rows: CheckpointRows }[], waits: boolean): QueryConfig {
  const fences = new Map(group.map(({ fence }) => [fence.runId, fence.attempt]));
  const rowsOf = <K extends "blobs" | "writes" | "checkpoints">(kind: K) =>
    group.flatMap(({ fence, rows }) => rows[kind].map((row) => [fence.runId, ...row] as unknown[]));
  return {
    ...(waits ? WAIT : PASS_OVER),
    values: [
      [...fences.keys()],
      [...fences.values()],
      ...columns(unique(rowsOf("blobs"), 5), 7),
      ...columns(unique(rowsOf("writes"), 6), 10),
      ...columns(unique(rowsOf("checkpoints"), 4), 8),
    ],
  };
}

/** The same rows without a fence, for whoever holds the thread's row in a transaction: edits. */
export function writeUnfenced(rows: CheckpointRows): QueryConfig[] {
  const statements: QueryConfig[] = [];
  for (const values of rows.blobs) {
    statements.push({
      text: `insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob) values ($1, $2, $3, $4, $5, $6) on conflict do nothing`,
      values,
    });
  }
  for (const values of rows.writes) {
    statements.push({
      text: `insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
               do update set channel = excluded.channel, type = excluded.type, blob = excluded.blob, task_path = excluded.task_path, run_id = null`,
      values,
    });
  }
  for (const [...values] of rows.checkpoints) {
    values.pop(); // nobody counts events of an edit
    statements.push({
      text: `insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (thread_id, checkpoint_ns, checkpoint_id) do update set checkpoint = excluded.checkpoint, metadata = excluded.metadata`,
      values,
    });
  }
  return statements;
}

const columns = (rows: unknown[][], n: number): unknown[][] =>
  Array.from({ length: n }, (_, i) => rows.map((row) => row[i]));

/** The last row wins where a group holds one key twice: `on conflict do update` may touch a row only once per statement. */
function unique(rows: unknown[][], keyLength: number): unknown[][] {
  return rows.length < 2 ? rows : [...new Map(rows.map((row) => [row.slice(0, keyLength).join("\0"), row])).values()];
}

/** How many events of which attempt a run had when it stored its last checkpoint, of the graph or of a subgraph. */
export async function getEventMark(
  db: Queryable,
  run: { threadId: string; runId: string; baseSeq: number },
): Promise<{ attempt: number; events: number } | undefined> {
  const { rows } = await db.query<{ attempt: number; events: number }>(
    `select (metadata ->> 'attempt')::int as attempt, events::int as events from checkpoints
      where thread_id = $1 and run_id = $2 and seq > $3 and events is not null order by seq desc limit 1`,
    [run.threadId, run.runId, run.baseSeq],
  );
  return rows[0];
}

/** Where the last root checkpoint of a run is. Bounded by what the thread has stored since the run began. */
export async function getCheckpointOfRun(
  db: Queryable,
  tenantId: string,
  runId: string,
): Promise<{ thread_id: string; graph_id: string; checkpoint_id: string } | undefined> {
  const { rows } = await db.query<{ thread_id: string; graph_id: string; checkpoint_id: string }>(
    `select r.thread_id, r.graph_id, k.checkpoint_id
       from runs r join checkpoints k on k.thread_id = checkpoint_thread_id(r.tenant_id, r.thread_id)
        and k.checkpoint_ns = '' and k.seq > r.base_seq and k.run_id = r.run_id
      where r.run_id = $1 and r.tenant_id = $2 order by k.seq desc limit 1`,
    [runId, tenantId],
  );
  return rows[0];
}
