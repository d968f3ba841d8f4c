import type { StateSnapshot } from "@langchain/langgraph";
import { LeaseLost } from "@flotilla/shared/errors";
import { NULL_TASK_ID, type CheckpointRow, type StoredWrite } from "@flotilla/shared/graphs/checkpoints/checkpoint-row";
import type { CompiledGraph } from "@flotilla/shared/graphs/graph-registry";
import type { ClaimedRun } from "@flotilla/shared/runs/run";
import { isBreakpoint } from "./breakpoints.ts";
import { durabilityOf, isResume, toGraphInput } from "./run-input.ts";

/**
 * The resume rule (DESIGN.md section 6): what an attempt does is read from the rows that earlier attempts left. It decides
 * whether the input or the answer has taken effect (G3), and whether there is anything left to run.
 */
export type Plan =
  /** Call the graph with this input; with a checkpoint id, from there. */
  | { kind: "stream"; input: unknown; checkpointId: string | undefined }
  /** The run came to its end earlier and only its settlement was lost. */
  | { kind: "settle"; why: string }
  | { kind: "fail"; error: string; message: string };

export interface PlanDeps {
  run: ClaimedRun;
  /** With the saver of this attempt. */
  graph: CompiledGraph;
  /** The latest root checkpoint of the thread. */
  latest: CheckpointRow | undefined;
  /** Whether a root checkpoint of this run exists. */
  applied: boolean;
  readCheckpoint(checkpointId: string): Promise<CheckpointRow | undefined>;
  /** Fixes the answers on the run. False when the lease is lost. */
  storeAnswers(answers: Record<string, unknown>): Promise<boolean>;
}

export async function planAttempt(deps: PlanDeps): Promise<Plan> {
  const { run, latest, applied } = deps;
  if (applied && latest?.run_id !== run.run_id) {
    return {
      kind: "fail",
      error: "ThreadMovedOn",
      message: "The thread moved on while the run was away: another run has written to it",
    };
  }
  const addressedId = applied ? undefined : run.kwargs.checkpoint_id;
  const addressed = addressedId === undefined ? latest : await readAddressed(deps, addressedId);
  if (addressedId !== undefined && addressed === undefined) {
    return {
      kind: "fail",
      error: "CheckpointNotFound",
      message: `Checkpoint ${addressedId} does not exist on this thread`,
    };
  }
  if (run.kwargs.replay === "checkpoint" && !applied && latest !== undefined) {
    const ended = await whyPredecessorEnded(deps, latest);
    if (ended !== undefined) return { kind: "settle", why: ended };
  }
  if (run.attempt === 1 && !isResume(run.kwargs.command)) {
    return { kind: "stream", input: toGraphInput(run, undefined), checkpointId: addressedId };
  }

  const state = await readState(deps, addressedId);
  const touched = applied || (addressed?.pending_writes ?? []).some((write) => writerOf(write) === run.run_id);
  if (touched && addressed !== undefined) {
    const ended = await whyEnded(deps, addressed, state);
    if (ended !== undefined) return { kind: "settle", why: ended };
  }
  if (applied) return { kind: "stream", input: null, checkpointId: undefined };
  if (!isResume(run.kwargs.command))
    return { kind: "stream", input: toGraphInput(run, undefined), checkpointId: addressedId };
  return planResume(deps, state, addressedId);
}

/** The answers go out again for the questions that still wait, under the same ids. */
async function planResume(deps: PlanDeps, state: StateSnapshot, addressedId: string | undefined): Promise<Plan> {
  const { run } = deps;
  const waiting = waitingInterrupts(state);
  let answers = run.resume_map;
  if (answers === null) {
    const fixed = fixAnswers(run.kwargs.command?.resume, waiting);
    if ("message" in fixed) return { kind: "fail", ...named(fixed, run) };
    answers = fixed.answers;
    if (!(await deps.storeAnswers(answers))) throw new LeaseLost(run.run_id);
  }
  const open = Object.fromEntries(Object.entries(answers).filter(([id]) => waiting.includes(id)));
  if (Object.keys(open).length > 0)
    return { kind: "stream", input: toGraphInput(run, open), checkpointId: addressedId };
  if (run.attempt === 1) {
    const unknown = { error: "UnknownInterrupt", message: "The question that the run answers does not wait any more" };
    return { kind: "fail", ...named(unknown, run) };
  }
  const input = addressedId === undefined ? null : toGraphInput(run, answers);
  return { kind: "stream", input, checkpointId: addressedId };
}

/** A client that asked for `strict_resume` looks for the name that the SDK knows. */
function named(failure: { error: string; message: string }, run: ClaimedRun): { error: string; message: string } {
  const strict = run.kwargs.strict_resume === true && failure.error === "UnknownInterrupt";
  return strict ? { ...failure, error: "UnknownInterruptError" } : failure;
}

/**
 * A scalar answer never reaches LangGraph: stored as a write of no task, it would answer the next question too. It becomes
 * the answer of the one question that waits.
 */
export function fixAnswers(
  resume: unknown,
  waiting: string[],
): { answers: Record<string, unknown> } | { error: string; message: string } {
  if (isKeyed(resume)) {
    const unknown = Object.keys(resume).filter((id) => !waiting.includes(id));
    if (unknown.length === 0) return { answers: resume };
    return { error: "UnknownInterrupt", message: `No such question waits on this thread: ${unknown.join(", ")}` };
  }
  const [only, ...others] = waiting;
  if (only === undefined)
    return { error: "NothingToResume", message: "The run answers a question, but none waits on this thread" };
  if (others.length > 0) {
    return {
      error: "SeveralInterrupts",
      message: `${waiting.length} questions wait on this thread: answer with a map from their ids`,
    };
  }
  return { answers: { [only]: resume } };
}

/** LangGraph's interrupt ids are 32 hex digits; an object with nothing but such keys is a map of answers. */
function isKeyed(resume: unknown): resume is Record<string, unknown> {
  if (typeof resume !== "object" || resume === null || Array.isArray(resume)) return false;
  const keys = Object.keys(resume);
  return keys.length > 0 && keys.every((key) => /^[0-9a-f]{32}$/.test(key));
}

/** Ids of the questions of tasks that have no result yet. */
export function waitingInterrupts(state: StateSnapshot): string[] {
  const open = state.tasks.filter((task) => task.result === undefined);
  return [...new Set(open.flatMap((task) => task.interrupts.map((interrupt) => interrupt.id ?? "")))].filter(
    (id) => id !== "",
  );
}

/** Why nothing is left to run for a run that has written something; undefined when there is. Rule 4. */
async function whyEnded(deps: PlanDeps, addressed: CheckpointRow, state: StateSnapshot): Promise<string | undefined> {
  const { run, applied, graph } = deps;
  const writes = addressed.pending_writes ?? [];
  const done = new Set(writes.filter(isOutput).map(taskOf));
  const open = state.tasks.filter((task) => !done.has(task.id));
  const asked = (taskId: string) =>
    writes.some(
      (write) => taskOf(write) === taskId && channelOf(write) === "__interrupt__" && writerOf(write) === run.run_id,
    );
  if (open.length > 0 && open.every((task) => asked(task.id))) return "every open task asks a question";
  if (!applied) return undefined;
  const failed = open.some((task) =>
    writes.some(
      (write) => taskOf(write) === task.id && channelOf(write) === "__error__" && writerOf(write) === run.run_id,
    ),
  );
  if (failed) return undefined; // it failed and died before that was written: the step runs again and fails again
  const stopped = addressed.metadata["aborted"] === true || addressed.checkpoint_id === run.handed_over_at;
  if (durabilityOf(run) === "exit" && !stopped) return "the exit checkpoint is stored";
  if (state.tasks.length === 0) return "no task is left";
  if (done.size > 0) return undefined;
  const before = run.kwargs.interrupt_before ?? graph.interruptBefore ?? [];
  const after = run.kwargs.interrupt_after ?? graph.interruptAfter ?? [];
  const parent = async () => {
    const id = addressed.parent_checkpoint_id;
    return id === null || state.metadata?.source !== "loop" ? undefined : deps.readCheckpoint(id);
  };
  return (await isBreakpoint({ checkpoint: addressed.checkpoint, next: state.next, before, after, parent }))
    ? "a breakpoint"
    : undefined;
}

/**
 * The same for a run that goes on where a dead one stopped: what that one left may be its end, which was only never settled. Null
 * would walk through a breakpoint there. Whether a checkpoint of durability `exit` is one of the end is not known any more: its tasks say.
 */
async function whyPredecessorEnded(deps: PlanDeps, latest: CheckpointRow): Promise<string | undefined> {
  const kwargs = { ...deps.run.kwargs, durability: "sync" as const };
  const run = { ...deps.run, run_id: latest.run_id ?? deps.run.run_id, kwargs };
  return whyEnded({ ...deps, applied: true, run }, latest, await readState(deps, undefined));
}

async function readAddressed(deps: PlanDeps, checkpointId: string): Promise<CheckpointRow | undefined> {
  return deps.latest?.checkpoint_id === checkpointId ? deps.latest : deps.readCheckpoint(checkpointId);
}

function readState(deps: PlanDeps, checkpointId: string | undefined): Promise<StateSnapshot> {
  const configurable = {
    thread_id: deps.run.thread_id,
    ...(checkpointId === undefined ? {} : { checkpoint_id: checkpointId }),
  };
  return deps.graph.getState({ configurable });
}

const NO_OUTPUT = new Set(["__error__", "__error_source_node__", "__interrupt__", "__resume__"]);
const taskOf = ([taskId]: StoredWrite) => taskId;
const channelOf = ([, channel]: StoredWrite) => channel;
const writerOf = ([, , , , runId]: StoredWrite) => runId;
const isOutput = (write: StoredWrite) => !NO_OUTPUT.has(channelOf(write)) && taskOf(write) !== NULL_TASK_ID;
