import { toJsonb } from "../postgres/jsonb.ts";
import type { Pool, Queryable } from "../postgres/pool.ts";
import { only } from "../postgres/only-row.ts";
import { inTransaction, retryConflicts } from "../postgres/transaction.ts";
import type { ThreadTtl } from "../protocol/thread-body.ts";
import type {
  CancelAction,
  ClaimedRun,
  Dispatch,
  MultitaskStrategy,
  Run,
  RunError,
  RunKwargs,
  RunStatus,
} from "./run.ts";

/** The SQL on `runs` on a run's way and for its callers. Create, claim and settle are functions of the migrations: one round trip each. */

export interface NewRun {
  tenantId: string;
  threadId: string;
  threadMustExist: boolean;
  /** Refuse a thread that belongs to another graph; otherwise the thread becomes one of this graph. */
  bindGraph: boolean;
  /** The thread is made for this run alone, see `listEndedTemporaryThreads`. */
  temporary: boolean;
  /** Of the thread, if the run makes it; undefined: it stays. */
  threadTtl?: ThreadTtl | undefined;
  runId: string;
  assistantId: string;
  graphId: string;
  kwargs: RunKwargs;
  metadata: Record<string, unknown>;
  /** Goes under the run's metadata, with the thread's in between. Undefined: the run's metadata is all. */
  assistantMetadata: Record<string, unknown> | undefined;
  /** Goes over the thread's own metadata. */
  threadMetadata: Record<string, unknown>;
  strategy: MultitaskStrategy;
  delaySeconds: number;
  /**
   * The run answers questions that must be waiting now: the only one, one by its id, or several by theirs. `if_waiting` is
   * the only one, if it is known now which one waits: otherwise the run's claim decides.
   */
  resume:
    | { kind: "only" | "if_waiting"; answer: unknown }
    | { kind: "named"; interruptId: string; answer: unknown }
    | { kind: "map"; answers: Record<string, unknown> }
    | undefined;
  idempotency: { key: string; requestHash: string } | undefined;
}

export type CreateOutcome =
  | {
      outcome: "created";
      dispatch: Dispatch | null;
      cancelled: { run_id: string; was: "pending" | "running" }[];
      created_at: string;
      /** The run's metadata, merged. */
      metadata: Record<string, unknown>;
    }
  | { outcome: "replayed"; run_id: string; thread_id: string }
  | { outcome: "key_reused" }
  | {
      outcome:
        | "thread_missing"
        | "other_graph"
        | "thread_busy"
        | "not_interrupted"
        | "unknown_interrupt"
        | "several_interrupts"
        | "state_stale";
      waiting: string[] | null;
      graph_id: string | null;
      status: string | null;
    };

/** The settings are defaults of the table `threads`, for this statement alone: they are set before the function is called. */
const CREATE = /* sql */ `
  select create_run($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) as result
    from (select set_config('flotilla.ttl_strategy', $20, true) as strategy, set_config('flotilla.ttl_minutes', $21, true) as minutes
          offset 0) ttl
   where strategy is not null and minutes is not null`;

/** Accepts a run: thread, multitask decision, idempotency and row in one transaction. */
export async function createRun(db: Queryable, run: NewRun): Promise<CreateOutcome> {
  return retryConflicts(() => insertRun(db, run));
}

/**
 * Accepts several runs, or none of them. Each must have a new thread to itself: then no lock is waited for but that of an
 * Idempotency-Key, which the same request has sent twice.
 * @param accept throws for an outcome that refuses its run, which undoes the others.
 */
export async function createRuns<T>(
  pool: Pool,
  runs: readonly NewRun[],
  accept: (outcome: CreateOutcome, i: number) => T,
): Promise<T[]> {
  return inTransaction(pool, async (client) => {
    const accepted: T[] = [];
    for (const [i, run] of runs.entries()) accepted.push(accept(await insertRun(client, run), i));
    return accepted;
  });
}

async function insertRun(db: Queryable, run: NewRun): Promise<CreateOutcome> {
  const { rows } = await db.query<{ result: CreateOutcome }>({
    name: "run_create",
    text: CREATE,
    values: [
      run.tenantId,
      run.threadId,
      run.threadMustExist,
      run.bindGraph,
      run.temporary,
      run.runId,
      run.assistantId,
      run.graphId,
      JSON.stringify(run.kwargs),
      toJsonb(run.metadata),
      run.assistantMetadata === undefined ? null : toJsonb(run.assistantMetadata),
      toJsonb(run.threadMetadata),
      run.strategy,
      run.delaySeconds,
      ...resumeParameters(run.resume),
      run.idempotency?.key ?? null,
      run.idempotency?.requestHash ?? null,
      run.threadTtl?.strategy ?? "",
      run.threadTtl?.minutes.toString() ?? "",
    ],
  });
  return only(rows).result;
}

function resumeParameters(
  resume: NewRun["resume"],
): [kind: string | null, ids: string[] | null, answer: string | null] {
  switch (resume?.kind) {
    case undefined:
      return [null, null, null];
    case "only":
    case "if_waiting":
      return [resume.kind, null, JSON.stringify(resume.answer)];
    case "named":
      return ["named", [resume.interruptId], JSON.stringify(resume.answer)];
    case "map":
      return ["map", Object.keys(resume.answers), JSON.stringify(resume.answers)];
  }
}

export type ClaimOutcome =
  | {
      outcome: "claimed";
      run: ClaimedRun;
      /** The latest root checkpoint of the thread: a `CheckpointRow` of graphs/checkpoints, or null on a new thread. */
      checkpoint: unknown;
      /** Whether a root checkpoint of this run exists: what it was asked has taken effect. */
      applied: boolean;
    }
  /** It must have a holder to itself. */
  | { outcome: "alone"; run: { attempt: number } }
  /** `held`: as many runs of the tenant have begun as may run at once; its turn comes when one of them ends. */
  | { outcome: "gone" | "not_pending" | "not_due" | "not_head" | "held" };

/** Makes `holder` the holder of a run. The lease starts at Postgres' clock, after the locks. */
export async function claimRun(
  db: Queryable,
  runId: string,
  holder: string,
  leaseSeconds: number,
  alone: boolean,
): Promise<ClaimOutcome> {
  return retryConflicts(async () => {
    const { rows } = await db.query<ClaimOutcome>({
      name: "run_claim",
      text: "select * from claim_run($1, $2, $3, $4)",
      values: [runId, holder, leaseSeconds, alone],
    });
    return only(rows);
  });
}

/** What an attempt came to. */
export interface Settlement {
  outcome: "success" | "error" | "timeout" | "interrupted" | "handed_over" | "lost";
  error?: RunError;
  /** Root state, as clients see it. Absent when nothing is known: the thread keeps what it has. */
  values?: unknown;
  /** Task id → its questions. */
  interrupts?: Record<string, unknown[]>;
  /** The graph stopped before its end: at a question or a breakpoint. */
  hasNext?: boolean;
  /** The root checkpoint that the attempt stored last. */
  checkpointId?: string | undefined;
  reason?: string;
  /** Whether a lost lease may count against the run: not while Postgres was away. */
  counts?: boolean;
}

export type SettleOutcome =
  | { outcome: "fenced" }
  | {
      outcome: "settled";
      status: RunStatus | "rollback";
      error?: RunError | null;
      tenant_id: string;
      thread_id: string;
      /** The thread's next run, or one of the tenant that was held: whoever settles enqueues it. */
      next: Dispatch | null;
    };

/** Leases that a run may lose while it has a holder to itself. */
const MAX_SOLO_LOSSES = 3;

/**
 * Ends an attempt, whoever does it. A cancel recorded before wins over the outcome. Releases the thread's next run.
 * `fenced` means that the attempt is not the run's any more; nothing was changed.
 */
export async function settleRun(
  db: Queryable,
  runId: string,
  attempt: number,
  settlement: Settlement,
): Promise<SettleOutcome> {
  const json = (value: unknown) => (value === undefined ? null : toJsonb(value));
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: SettleOutcome }>({
      name: "run_settle",
      text: "select settle_run($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) as result",
      values: [
        runId,
        attempt,
        settlement.outcome,
        json(settlement.error),
        json(settlement.values),
        json(settlement.interrupts),
        settlement.hasNext ?? false,
        settlement.checkpointId ?? null,
        settlement.reason ?? null,
        settlement.counts ?? true,
        MAX_SOLO_LOSSES,
      ],
    });
    return only(rows).result;
  });
}

/** Starts that a run may fail. */
const MAX_FAILED_STARTS = 3;

/**
 * Notes that a pending run could not be started; the third time ends it.
 * @param attempt that it had then: `fenced` when it has been claimed since. Undefined: whichever it has.
 */
export async function failStart(
  db: Queryable,
  runId: string,
  attempt: number | undefined,
  reason: string,
): Promise<SettleOutcome> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: SettleOutcome }>("select fail_start($1, $2, $3, $4) as result", [
      runId,
      attempt ?? null,
      reason.replaceAll("\0", "").slice(0, 1_000),
      MAX_FAILED_STARTS,
    ]);
    return only(rows).result;
  });
}

/** What became of a lease: renewed, or not for now because somebody holds the row; rows that are missing are lost. */
export interface Renewal {
  run_id: string;
  attempt: number;
  cancel_action: CancelAction | null;
}

/**
 * Renews leases in one statement, locking in the order of run ids. Rows that are locked are passed over: they are being
 * settled, or their thread is being cleaned up, and the other runs of the worker must not wait for it.
 * Returns every run whose attempt still stands, with a pending cancel, so that a lost message costs seconds, not correctness.
 */
export const RENEW_LEASES = /* sql */ `
  with fence(run_id, attempt) as (select * from unnest($1::uuid[], $2::int[])),
  held as (
    select f.run_id from (select * from fence order by run_id) f
     cross join lateral (select attempt, status from runs where run_id = f.run_id offset 0 for no key update skip locked) r
     where r.attempt = f.attempt and r.status = 'running'),
  renewed as (
    update runs set lease_expires_at = clock_timestamp() + make_interval(secs => $3)
      from held where runs.run_id = held.run_id)
  select r.run_id, r.attempt, r.cancel_action
    from fence f cross join lateral (select * from runs where run_id = f.run_id offset 0) r
   where r.attempt = f.attempt and r.status = 'running'`;

/** Fixes the answers of a run at its first claim, before the graph sees them. False when the lease is lost. */
export async function storeResumeMap(
  db: Queryable,
  runId: string,
  attempt: number,
  answers: Record<string, unknown>,
): Promise<boolean> {
  const { rowCount } = await retryConflicts(() =>
    db.query(
      `with held as (select run_id, attempt, status from runs where run_id = $1 offset 0 for no key update)
       update runs set resume_map = $3 from held where runs.run_id = held.run_id and held.attempt = $2 and held.status = 'running'`,
      [runId, attempt, JSON.stringify(answers)],
    ),
  );
  return rowCount === 1;
}

export type CancelOutcome =
  | { outcome: "missing" }
  | { outcome: "ended" | "asked"; status: RunStatus; attempt: number }
  | {
      outcome: "cancelled";
      status: "interrupted" | "rollback";
      attempt: number;
      /** The thread's row has to be read from its checkpoints again. */
      stale: boolean;
      next: Dispatch | null;
    };

/** Ends a pending run at once; asks the holder of a running one to stop. */
export async function cancelRun(
  db: Queryable,
  run: { tenantId: string; threadId: string; runId: string; action: CancelAction; reason?: string | undefined },
): Promise<CancelOutcome> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ result: CancelOutcome }>("select cancel_run($1, $2, $3, $4, $5) as result", [
      run.tenantId,
      run.threadId,
      run.runId,
      run.action,
      run.reason ?? null,
    ]);
    return only(rows).result;
  });
}

/** Erases a run that has ended, with what it wrote. */
export async function deleteRun(
  db: Queryable,
  tenantId: string,
  threadId: string,
  runId: string,
): Promise<"missing" | "active" | "deleted"> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ outcome: "missing" | "active" | "deleted" }>(
      "select delete_run($1, $2, $3) ->> 'outcome' as outcome",
      [tenantId, threadId, runId],
    );
    return only(rows).outcome;
  });
}

/** Runs of a tenant that are in flight, oldest first, after a position. */
export async function listActiveRuns(
  db: Queryable,
  tenantId: string,
  page: { status: "pending" | "running" | "all"; afterSeq: string; limit: number },
): Promise<{ run_id: string; thread_id: string; seq: string }[]> {
  const { rows } = await db.query<{ run_id: string; thread_id: string; seq: string }>(
    `select run_id, thread_id, seq::text from runs
      where tenant_id = $1 and status in ('pending', 'running') and seq > $2 and ($3 = 'all' or status = $3)
      order by seq limit $4`,
    [tenantId, page.afterSeq, page.status, page.limit],
  );
  return rows;
}

/** Runs of an assistant that are in flight. */
export async function listActiveRunsOf(
  db: Queryable,
  tenantId: string,
  assistantId: string,
  limit: number,
): Promise<Pick<Run, "run_id" | "thread_id" | "status" | "attempt">[]> {
  const { rows } = await db.query<Pick<Run, "run_id" | "thread_id" | "status" | "attempt">>(
    `select run_id, thread_id, status, attempt from runs
      where tenant_id = $1 and status in ('pending', 'running') and assistant_id = $2 order by seq limit $3`,
    [tenantId, assistantId, limit],
  );
  return rows;
}

/**
 * Deletes the rows of an assistant's runs that have ended; the threads keep what they wrote. Pages go by id, so that all of them
 * together read the table once: runs have no index by assistant, which each new run would pay for.
 */
export async function deleteEndedRunsOf(
  db: Queryable,
  tenantId: string,
  assistantId: string,
  page: { afterRunId: string; limit: number },
): Promise<string[]> {
  return retryConflicts(async () => {
    const { rows } = await db.query<{ run_id: string }>(
      `delete from runs where run_id in (
         select run_id from runs where run_id > $3 and tenant_id = $1 and assistant_id = $2 and ended_at is not null
          order by run_id limit $4)
       returning run_id`,
      [tenantId, assistantId, page.afterRunId, page.limit],
    );
    return rows.map(({ run_id }) => run_id).toSorted();
  });
}

/** A run of any thread, as those without a thread of their own are addressed. */
export async function getRunById(db: Queryable, tenantId: string, runId: string): Promise<Run | undefined> {
  const { rows } = await db.query<Run>(
    `select ${RUN_COLUMNS} from (select * from runs where run_id = $1 offset 0) r where tenant_id = $2`,
    [runId, tenantId],
  );
  return rows[0];
}

const RUN_COLUMNS = /* sql */ `run_id, tenant_id, thread_id, assistant_id, graph_id, status, kwargs, metadata,
  multitask_strategy, attempt, story, retry_of, error, cancel_reason, created_at, updated_at, started_at, ended_at`;

export async function getRun(
  db: Queryable,
  tenantId: string,
  threadId: string,
  runId: string,
): Promise<Run | undefined> {
  const { rows } = await db.query<Run>(
    `select ${RUN_COLUMNS} from runs where run_id = $1 and tenant_id = $2 and thread_id = $3`,
    [runId, tenantId, threadId],
  );
  return rows[0];
}

export async function getRunStatus(
  db: Queryable,
  tenantId: string,
  runId: string,
): Promise<Pick<Run, "status" | "attempt"> | undefined> {
  const { rows } = await db.query<Pick<Run, "status" | "attempt">>(
    "select status, attempt from runs where run_id = $1 and tenant_id = $2",
    [runId, tenantId],
  );
  return rows[0];
}

/** Newest first. */
export async function listRuns(
  db: Queryable,
  tenantId: string,
  threadId: string,
  page: {
    limit: number;
    offset: number;
    status?: RunStatus | undefined;
    metadata?: Record<string, unknown> | undefined;
  },
): Promise<Run[]> {
  const { rows } = await db.query<Run>(
    `select ${RUN_COLUMNS} from runs where tenant_id = $1 and thread_id = $2 and ($5::text is null or status = $5)
        and ($6::jsonb is null or metadata @> $6)
      order by seq desc limit $3 offset $4`,
    [
      tenantId,
      threadId,
      page.limit,
      page.offset,
      page.status ?? null,
      page.metadata === undefined ? null : toJsonb(page.metadata),
    ],
  );
  return rows;
}

/** A run's end as a waiting client sees it, with the thread's values when it was this run that wrote them. */
export interface RunEnd {
  status: RunStatus;
  attempt: number;
  error: RunError | null;
  /** Null when another run or an edit has written the thread's values since. */
  values: unknown;
  interrupts: Record<string, { id?: string; value: unknown }[]> | null;
  is_current: boolean;
}

export async function getRunEnd(db: Queryable, tenantId: string, runId: string): Promise<RunEnd | undefined> {
  const { rows } = await db.query<RunEnd>({
    name: "run_end",
    text: `select r.status, r.attempt, r.error, t.values_run_id is not distinct from r.run_id as is_current,
                  case when t.values_run_id = r.run_id then t."values" end as "values",
                  case when t.values_run_id = r.run_id then t.interrupts end as interrupts
             from (select * from runs where run_id = $1 offset 0) r
            cross join lateral (select * from threads where tenant_id = r.tenant_id and thread_id = r.thread_id offset 0) t
            where r.tenant_id = $2`, // `offset 0`: each row by its key, never all rows of a tenant
    values: [runId, tenantId],
  });
  return rows[0];
}
