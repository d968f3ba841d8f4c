import { only } from "../postgres/only-row.ts";
import type { Queryable } from "../postgres/pool.ts";
import { retryConflicts } from "../postgres/transaction.ts";
import type { CreateOutcome } from "./run-queries.ts";
import type { Run, RunKwargs, RunStatus } from "./run.ts";

/**
 * Dead letters: runs that ended because they could not be executed (`is_dead_letter` in the migrations). Their end is final; what
 * can be done about one is to make another run in its place, or to acknowledge it.
 */

/** How the process that executed a run alone died. */
export interface ChildDeath {
  exitCode: number | null;
  signal: string | null;
  /** As far as can be told: the heap's limit, or the kernel's. */
  outOfMemory: boolean;
  /** What it printed last, without secrets. */
  lines: readonly string[];
}

/**
 * Keeps how a child died. Nothing happens when the run is gone.
 * @param attempt that the run had when the child was started: the child's own is one more, if it came to its claim.
 */
export async function noteChildDeath(db: Queryable, runId: string, attempt: number, death: ChildDeath): Promise<void> {
  const { exitCode, signal, outOfMemory, lines } = death;
  // One statement: both parts see the table as it was before, so the second leaves the row of the first alone.
  await retryConflicts(() =>
    db.query(
      `with run as (select run_id, tenant_id, attempt > $2 as claimed, $2 + (attempt > $2)::int as attempt from runs where run_id = $1),
       noted as (
         insert into child_deaths (run_id, tenant_id, attempt, claimed, exit_code, signal, out_of_memory, lines)
         select run_id, tenant_id, attempt, claimed, $3, $4, $5, $6 from run
         on conflict (run_id, attempt, claimed) do update
           set exit_code = excluded.exit_code, signal = excluded.signal, out_of_memory = excluded.out_of_memory, lines = excluded.lines,
               at = excluded.at)
       update child_deaths d set lines = '{}' from run
        where d.run_id = run.run_id and (d.attempt, d.claimed) is distinct from (run.attempt, run.claimed)
          and cardinality($6::text[]) > 0 and d.lines <> '{}'`,
      [runId, attempt, exitCode, signal, outOfMemory, lines],
    ),
  );
}

export interface DeadLetterFilter {
  graphId?: string | undefined;
  /** Name of the error. */
  error?: string | undefined;
  /** When the run ended, both inclusive: clients know milliseconds only. */
  since?: Date | undefined;
  until?: Date | undefined;
  runIds?: readonly string[] | undefined;
}

/** A place in the list of dead letters: when a run ended, in microseconds since 1970, and the run. */
export interface DeadLetterPlace {
  endedMicros: string;
  runId: string;
}

export interface DeadLetterSummary extends Pick<
  Run,
  "run_id" | "thread_id" | "assistant_id" | "graph_id" | "status" | "attempt" | "error" | "retry_of"
> {
  created_at: Date;
  started_at: Date | null;
  ended_at: Date;
  ended_micros: string;
  /** Runs that replay this one, oldest first. */
  retries: { run_id: string; status: RunStatus }[];
}

const SUMMARY = /* sql */ `run_id, thread_id, assistant_id, graph_id, status, attempt, error, retry_of, created_at, started_at, ended_at,
  (extract(epoch from ended_at) * 1000000)::bigint::text as ended_micros`;
const RETRIES = /* sql */ `
  (select coalesce(jsonb_agg(jsonb_build_object('run_id', n.run_id, 'status', n.status) order by n.seq), '[]')
     from runs n where n.retry_of = r.run_id and n.tenant_id = r.tenant_id) as retries`;

/** Those that nobody has acknowledged, a page after `after` in the order of their ends. */
export async function listDeadLetters(
  db: Queryable,
  tenantId: string,
  filter: DeadLetterFilter,
  page: { order: "newest" | "oldest"; after: DeadLetterPlace | undefined; limit: number },
): Promise<DeadLetterSummary[]> {
  const [beyond, direction] = page.order === "newest" ? ["<", "desc"] : [">", "asc"];
  const { rows } = await db.query<DeadLetterSummary>(
    `select ${SUMMARY}, ${RETRIES} from runs r
      where tenant_id = $1 and is_dead_letter(status, error) and acknowledged_at is null
        and ($2::text is null or graph_id = $2) and ($3::text is null or error ->> 'error' = $3)
        and ($4::timestamptz is null or ended_at >= $4) and ($5::timestamptz is null or ended_at < $5::timestamptz + interval '1 millisecond')
        and ($6::uuid[] is null or run_id = any ($6))
        and ($8::uuid is null or (ended_at, run_id) ${beyond} (timestamptz 'epoch' + $7::bigint * interval '1 microsecond', $8))
      order by ended_at ${direction}, run_id ${direction} limit $9`,
    [
      tenantId,
      filter.graphId ?? null,
      filter.error ?? null,
      filter.since?.toISOString() ?? null,
      filter.until?.toISOString() ?? null,
      filter.runIds ?? null,
      page.after?.endedMicros ?? null,
      page.after?.runId ?? null,
      page.limit,
    ],
  );
  return rows;
}

/** A dead letter with all that is kept of it, and where its thread stands. */
export interface DeadLetter extends Run {
  acknowledged_at: Date | null;
  /** Place of the checkpoint on which it began; "0" on an empty thread, null when it never began. */
  base_seq: string | null;
  /** That checkpoint; null also when it is not kept any more. */
  base_checkpoint_id: string | null;
  /** The last root checkpoint that the run stored. */
  last_checkpoint_id: string | null;
  /** The latest root checkpoint of the thread. */
  latest_checkpoint_id: string | null;
  in_flight: boolean;
  thread: { status: string; temporary: boolean; metadata: Record<string, unknown> };
  assistant: { name: string; version: number } | null;
  retries: { run_id: string; status: RunStatus }[];
  deaths: {
    attempt: number;
    claimed: boolean;
    exit_code: number | null;
    signal: string | null;
    out_of_memory: boolean;
    lines: string[];
  }[];
}

/** Also one that was acknowledged. */
export async function getDeadLetter(db: Queryable, tenantId: string, runId: string): Promise<DeadLetter | undefined> {
  const { rows } = await db.query<DeadLetter>(
    `select r.run_id, r.tenant_id, r.thread_id, r.assistant_id, r.graph_id, r.status, r.kwargs, r.metadata, r.multitask_strategy,
            r.attempt, r.story, r.retry_of, r.error, r.cancel_reason, r.created_at, r.updated_at, r.started_at, r.ended_at,
            r.acknowledged_at, r.base_seq::text, ${RETRIES},
            (select b.checkpoint_id from checkpoints b where b.thread_id = ct.id and b.checkpoint_ns = '' and b.seq = r.base_seq)
              as base_checkpoint_id,
            (select k.checkpoint_id from checkpoints k where k.thread_id = ct.id and k.checkpoint_ns = '' and k.seq > r.base_seq
                and k.run_id = r.run_id order by k.seq desc limit 1) as last_checkpoint_id,
            (select k.checkpoint_id from checkpoints k where k.thread_id = ct.id and k.checkpoint_ns = '' order by k.seq desc limit 1)
              as latest_checkpoint_id,
            has_run_in_flight(r.tenant_id, r.thread_id) as in_flight,
            jsonb_build_object('status', t.status, 'temporary', t.temporary, 'metadata', t.metadata) as thread,
            (select jsonb_build_object('name', a.name, 'version', a.version) from assistants a
              where a.tenant_id = r.tenant_id and a.assistant_id = r.assistant_id) as assistant,
            (select coalesce(jsonb_agg(jsonb_build_object('attempt', d.attempt, 'claimed', d.claimed, 'exit_code', d.exit_code,
                 'signal', d.signal, 'out_of_memory', d.out_of_memory, 'lines', d.lines) order by d.at), '[]')
               from child_deaths d where d.run_id = r.run_id and d.tenant_id = r.tenant_id) as deaths
       from (select * from runs where run_id = $1 offset 0) r
      cross join lateral (select * from threads where tenant_id = r.tenant_id and thread_id = r.thread_id offset 0) t
      cross join lateral (select checkpoint_thread_id(r.tenant_id, r.thread_id) as id) ct
      where r.tenant_id = $2 and is_dead_letter(r.status, r.error)`, // `offset 0`: each row by its key
    [runId, tenantId],
  );
  return rows[0];
}

/** What a replay is to do, and when that is right. */
export interface Replay {
  tenantId: string;
  /** The dead letter. */
  runId: string;
  retryId: string;
  kwargs: RunKwargs;
  /** Whether the answers that the dead run gave go along, as they were fixed then. */
  answers: boolean;
  /** No run of the thread may be in flight, and its latest root checkpoint must be this one; null: it must have none. */
  atRest: { latest: string | null } | undefined;
  /** Also when another replay is in flight or has succeeded. */
  force: boolean;
}

export type ReplayOutcome =
  CreateOutcome | { outcome: "missing" | "moved" } | { outcome: "retried"; run_id: string; status: RunStatus };

/** Makes a run in place of a dead one, if what was read before still holds: `moved` says that it does not. */
export async function replayRun(db: Queryable, replay: Replay): Promise<ReplayOutcome> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: ReplayOutcome }>(
      "select replay_run($1, $2, $3, $4, $5, $6, $7, $8) as result",
      [
        replay.tenantId,
        replay.runId,
        replay.retryId,
        JSON.stringify(replay.kwargs),
        replay.answers,
        replay.atRest !== undefined,
        replay.atRest?.latest ?? null,
        replay.force,
      ],
    );
    return only(rows).result;
  });
}

/** Takes a dead letter off the list; again changes nothing. False when there is none. */
export async function acknowledgeDeadLetter(db: Queryable, tenantId: string, runId: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update runs set acknowledged_at = coalesce(acknowledged_at, clock_timestamp())
      where run_id = $1 and tenant_id = $2 and is_dead_letter(status, error)`,
    [runId, tenantId],
  );
  return rowCount === 1;
}
