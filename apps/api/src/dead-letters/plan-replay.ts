import { Conflict } from "@flotilla/shared/errors";
import type { DeadLetter } from "@flotilla/shared/runs/dead-letter-queries";
import type { RunKwargs } from "@flotilla/shared/runs/run";

export type ReplayFrom = "checkpoint" | "start";

/** What a replay is to do, by where the thread stands, and under which condition that stays right. */
export interface ReplayPlan {
  kwargs: RunKwargs;
  /** Whether the answers that the dead run gave go along, as they were fixed then. */
  answers: boolean;
  /** The thread must be at rest with this latest root checkpoint (null: none). Undefined: the run waits its turn, wherever the thread is then. */
  atRest: { latest: string | null } | undefined;
}

type Stand = Pick<
  DeadLetter,
  | "run_id"
  | "thread_id"
  | "kwargs"
  | "base_seq"
  | "base_checkpoint_id"
  | "last_checkpoint_id"
  | "latest_checkpoint_id"
  | "in_flight"
>;

/**
 * Decides how a dead run is replayed. Pure.
 * @throws Conflict when that is not possible, saying why and what is.
 */
export function planReplay(run: Stand, from: ReplayFrom): ReplayPlan {
  return from === "checkpoint" ? fromCheckpoint(run) : fromStart(run);
}

/** Goes on as LangGraph does with null: only right where the thread still is what the run left. */
function fromCheckpoint(run: Stand): ReplayPlan {
  const { input, command, checkpoint_id: _id, checkpoint_map: _map, ...kept } = replayedKwargs(run);
  if (run.last_checkpoint_id === null) {
    // It was itself to go on, and got nowhere: its beginning is the last checkpoint.
    if (command === undefined && (input ?? null) === null) return fromStart(run);
    throw new Conflict("no_checkpoint", `Run ${run.run_id} stored no checkpoint; replay it from the start`);
  }
  if (run.latest_checkpoint_id !== run.last_checkpoint_id) {
    const where = `its checkpoint ${run.last_checkpoint_id} is not the latest any more`;
    throw new Conflict("thread_moved_on", `Thread "${run.thread_id}" has moved on since run ${run.run_id}: ${where}`);
  }
  requireRest(run);
  const kwargs: RunKwargs = { ...kept, input: null, replay: "checkpoint" };
  return { kwargs, answers: false, atRest: { latest: run.last_checkpoint_id } };
}

/**
 * Sends the same to where it was sent. Where the thread is not there any more, that is a fork from the checkpoint on which the run
 * began, or a beginning as if the thread were empty; behind other runs as well, whatever they do to the thread.
 */
function fromStart(run: Stand): ReplayPlan {
  const { base_seq: baseSeq, base_checkpoint_id: base, latest_checkpoint_id: latest } = run;
  const kwargs = replayedKwargs(run);
  const { command } = kwargs;
  const answers = command !== undefined && "resume" in command;
  if (answers && run.last_checkpoint_id !== null) {
    const why = "its answer has been taken, and the question does not wait any more";
    throw new Conflict("answer_taken", `Run ${run.run_id} cannot begin again: ${why}; replay it from its checkpoint`);
  }
  const isPlaced = kwargs.checkpoint_id !== undefined || kwargs.replay === "anew";
  if (isPlaced || baseSeq === null) return { kwargs, answers, atRest: undefined };
  if (baseSeq !== "0" && base === null)
    throw new Conflict("checkpoint_gone", `The checkpoint on which run ${run.run_id} began is not kept any more`);
  if (latest === base && !run.in_flight) return { kwargs, answers, atRest: { latest } };
  if (answers) {
    requireRest(run);
    const where = "the question that the run answers is not its latest state";
    throw new Conflict("thread_moved_on", `Thread "${run.thread_id}" has moved on since run ${run.run_id}: ${where}`);
  }
  const placed: RunKwargs = base === null ? { ...kwargs, replay: "anew" } : { ...kwargs, checkpoint_id: base };
  return { kwargs: placed, answers, atRest: undefined };
}

/** Nobody listens to a replay from its beginning, as somebody may have done to the run. */
function replayedKwargs({ kwargs: { listening: _listening, ...kwargs } }: Stand): RunKwargs {
  return kwargs;
}

function requireRest(run: Stand): void {
  if (run.in_flight)
    throw new Conflict("thread_busy", `A run of thread "${run.thread_id}" is in flight; try again when it has ended`);
}
