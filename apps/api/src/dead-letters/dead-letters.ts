import { AppError, Conflict, NotFound } from "@flotilla/shared/errors";
import { cursorOf, type ReplayManyBody } from "@flotilla/shared/protocol/dead-letter-body";
import {
  acknowledgeDeadLetter,
  getDeadLetter,
  listDeadLetters,
  replayRun,
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetterPlace,
  type DeadLetterSummary,
  type ReplayOutcome,
} from "@flotilla/shared/runs/dead-letter-queries";
import type { Gateway } from "../gateway.ts";
import { newRunId } from "../runs/create-run.ts";
import { planReplay, type ReplayFrom } from "./plan-replay.ts";

/** Dead letters: found, looked at, replayed, acknowledged. */

type Deps = Pick<Gateway, "pool" | "registry" | "queue" | "signals" | "admission">;

/** A page of dead letters, and the cursor of the next one. */
export async function findDeadLetters(
  { pool }: Pick<Deps, "pool">,
  tenantId: string,
  filter: DeadLetterFilter,
  page: { order: "newest" | "oldest"; after: DeadLetterPlace | undefined; limit: number },
): Promise<{ found: DeadLetterSummary[]; next: string | null }> {
  const rows = await listDeadLetters(pool, tenantId, filter, { ...page, limit: page.limit + 1 });
  const found = rows.slice(0, page.limit);
  const last = found.at(-1);
  const hasMore = rows.length > page.limit && last !== undefined;
  return { found, next: hasMore ? cursorOf({ endedMicros: last.ended_micros, runId: last.run_id }) : null };
}

/** @throws NotFound, also for a run that is no dead letter. */
export async function requireDeadLetter(
  { pool }: Pick<Deps, "pool">,
  tenantId: string,
  runId: string,
): Promise<DeadLetter> {
  const found = await getDeadLetter(pool, tenantId, runId);
  if (found === undefined) throw missing(runId);
  return found;
}

/** @throws NotFound */
export async function acknowledge({ pool }: Pick<Deps, "pool">, tenantId: string, runId: string): Promise<void> {
  if (!(await acknowledgeDeadLetter(pool, tenantId, runId))) throw missing(runId);
}

/** A run that was made in place of a dead one. */
export interface Replayed {
  run_id: string;
  thread_id: string;
  status: "pending";
  retry_of: string;
}

/** Looks again at a thread that has moved between the look and the lock. */
const LOOKS = 5;

/**
 * Makes a new run that does what a dead one was to do. The dead one stays as it is.
 * @throws Overloaded; NotFound; GraphNotLoaded; Conflict when its thread does not allow it, or another replay of it is in flight or has succeeded.
 */
export async function replay(
  deps: Deps,
  tenantId: string,
  runId: string,
  { from, force }: { from: ReplayFrom; force: boolean },
): Promise<Replayed> {
  deps.admission.admit(tenantId);
  for (let look = 1; ; look++) {
    const dead = await requireDeadLetter(deps, tenantId, runId);
    deps.registry.requireLoaded(dead.graph_id);
    if (!force) refuseSecond(dead);
    const retryId = newRunId();
    const plan = planReplay(dead, from);
    const outcome = await replayRun(deps.pool, { tenantId, runId, retryId, force, ...plan });
    if (outcome.outcome === "created") {
      deps.signals.accepted(tenantId, dead.thread_id);
      await deps.queue.enqueue(outcome.dispatch);
      return { run_id: retryId, thread_id: dead.thread_id, status: "pending", retry_of: runId };
    }
    if (outcome.outcome !== "moved" || look === LOOKS) throw refusal(outcome, dead);
  }
}

/**
 * Replays many, oldest first, so that those of one thread keep their order. Each is accepted or refused by itself.
 * @returns what became of each, and the cursor of the rest.
 * @throws what is no refusal, as a Postgres that does not answer; what was replayed by then stays so, and is refused the next time.
 */
export async function replayMany(
  deps: Deps,
  tenantId: string,
  body: ReplayManyBody,
): Promise<{ replayed: Replayed[]; refused: { run_id: string; code: string; detail: string }[]; next: string | null }> {
  const { from, force = false, limit = MANY, cursor: after } = body;
  const { graph_id: graphId, run_ids: runIds, ...times } = body.filter;
  const filter = { ...times, graphId, runIds };
  const { found, next } = await findDeadLetters(deps, tenantId, filter, { order: "oldest", after, limit });
  const replayed: Replayed[] = [];
  const refused: { run_id: string; code: string; detail: string }[] = [];
  for (const { run_id } of found) {
    try {
      replayed.push(await replay(deps, tenantId, run_id, { from, force }));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      refused.push({ run_id, code: error.code, detail: error.message });
    }
  }
  const known = new Set(found.map(({ run_id }) => run_id));
  if (after === undefined && next === null)
    for (const id of new Set(runIds)) if (!known.has(id)) refused.push({ run_id: id, ...notListed(id) });
  return { replayed, refused, next };
}

/** How many a request replays that does not say. */
const MANY = 20;

/** Before the thread is looked at: whoever asks twice is to hear of the first time, not of what that did to the thread. */
function refuseSecond(dead: DeadLetter): void {
  const other = dead.retries.findLast(({ status }) => ["pending", "running", "success"].includes(status));
  if (other !== undefined) throw alreadyReplayed(dead.run_id, other);
}

function refusal(outcome: Exclude<ReplayOutcome, { outcome: "created" }>, dead: DeadLetter): Error {
  switch (outcome.outcome) {
    case "missing":
      return missing(dead.run_id);
    case "retried":
      return alreadyReplayed(dead.run_id, outcome);
    case "moved":
      return new Conflict("thread_busy", `Thread "${dead.thread_id}" keeps changing; try again`);
    default:
      return new Conflict("thread_busy", `Thread "${dead.thread_id}" takes no run now (${outcome.outcome}); try again`);
  }
}

function alreadyReplayed(runId: string, { run_id, status }: { run_id: string; status: string }): Conflict {
  const state = status === "success" ? "has succeeded" : "is in flight";
  return new Conflict("already_replayed", `Run ${runId} was replayed by run ${run_id}, which ${state}`);
}

function missing(runId: string): NotFound {
  return new NotFound("dead letter", `Run ${runId} is no dead letter`);
}

function notListed(runId: string): { code: string; detail: string } {
  const { code, message } = missing(runId);
  return { code, detail: `${message}, or is acknowledged or not what the filter asks for` };
}
