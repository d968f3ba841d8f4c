/** A run: one request to execute a graph on a thread. The row is the truth; everything about it in Redis is a hint. */

export const RUN_STATUSES = ["pending", "running", "success", "error", "timeout", "interrupted"] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

export type CancelAction = "interrupt" | "rollback";
export type MultitaskStrategy = "reject" | "enqueue" | "interrupt" | "rollback";
export type Durability = "sync" | "async" | "exit";

/** What can happen to a run, besides being created. */
export type RunEvent = "claim" | "finish" | "fail" | "time_out" | "stop" | "hand_over" | "lose";

/**
 * The state machine, as the SQL functions and CHECK constraints of the migrations enforce it. `refused` changes nothing.
 * An end is final: a retry is a new run.
 */
export const TRANSITIONS: Record<RunStatus, Record<RunEvent, RunStatus | "refused">> = {
  pending: {
    claim: "running",
    finish: "refused",
    fail: "refused",
    time_out: "refused",
    stop: "interrupted",
    hand_over: "refused",
    lose: "refused",
  },
  running: {
    claim: "refused",
    finish: "success",
    fail: "error",
    time_out: "timeout",
    stop: "interrupted",
    hand_over: "pending",
    lose: "pending",
  },
  success: ended(),
  error: ended(),
  timeout: ended(),
  interrupted: ended(),
};

function ended(): Record<RunEvent, "refused"> {
  return {
    claim: "refused",
    finish: "refused",
    fail: "refused",
    time_out: "refused",
    stop: "refused",
    hand_over: "refused",
    lose: "refused",
  };
}

export function isFinal(status: RunStatus): boolean {
  return status !== "pending" && status !== "running";
}

/** An error as it is stored on a run and sent to clients: the class name and the message, never a stack. */
export interface RunError {
  error: string;
  message: string;
}

/** `{resume, update, goto}` of LangGraph's Command, as a client sends it. Presence of `resume` counts, not its value. */
export interface CommandInput {
  resume?: unknown;
  update?: unknown;
  goto?: unknown;
}

/** What a run was asked to do. Stored as the client sent it, after validation. */
export interface RunKwargs {
  input?: unknown;
  command?: CommandInput;
  config?: { tags?: string[]; recursion_limit?: number; configurable?: Record<string, unknown> };
  context?: Record<string, unknown>;
  checkpoint_id?: string;
  /** The checkpoints of subgraphs from which they go on, by namespace; with `checkpoint_id`. */
  checkpoint_map?: Record<string, string>;
  interrupt_before?: "*" | string[];
  interrupt_after?: "*" | string[];
  stream_mode: string[];
  stream_subgraphs?: boolean;
  durability?: Durability;
  /** An answer to a question that does not wait fails the run under the name that the SDK knows. */
  strict_resume?: boolean;
  /** Whether a client wants to read events again. Absent: it was not asked, and every join begins with what is kept. */
  resumable?: boolean;
  webhook?: string;
  feedback_keys?: string[];
  /** Set by the gateway, not shown: those of the request's headers that graphs may see, by name. */
  headers?: Record<string, string>;
  /** Set by the gateway, not shown: a client is there from the beginning, for the events or for the result alone. */
  listening?: "events" | "result";
  /**
   * Set by the gateway, not shown, for a run that replays another: it goes on from that one's last checkpoint, or begins as if
   * its thread were empty, as it was then. Absent: it begins like any run.
   */
  replay?: "checkpoint" | "anew";
}

/** A run's row, as far as anything outside SQL needs it. */
export interface Run {
  run_id: string;
  tenant_id: string;
  thread_id: string;
  assistant_id: string;
  graph_id: string;
  status: RunStatus;
  kwargs: RunKwargs;
  metadata: Record<string, unknown>;
  multitask_strategy: MultitaskStrategy;
  attempt: number;
  /** How earlier attempts ended, and the last one unless it was the only one and succeeded. */
  story: {
    attempt: number;
    ended: string;
    reason: string | null;
    at: string;
    /** When it was claimed; absent for a start that failed. */
    began?: string;
    holder?: string;
    checkpoint_id?: string | null;
  }[];
  /** The run of the same thread that this one replays. */
  retry_of: string | null;
  error: RunError | null;
  /** Why somebody cancelled it, as he said. */
  cancel_reason: string | null;
  created_at: string;
  updated_at: string;
  started_at: string | null;
  ended_at: string | null;
}

/** A run whose lease a worker holds, as `claim_run` returns it. */
export interface ClaimedRun extends Run {
  holder: string;
  resume_map: Record<string, unknown> | null;
  base_seq: number;
  handed_over_at: string | null;
  cancel_action: CancelAction | null;
  solo: boolean;
  /** How long the run was runnable before this claim, in seconds. */
  waited_seconds: number;
  /** Since the first start of the run, in seconds of Postgres' clock. */
  elapsed_seconds: number;
  /** Another run of the tenant, which the claim made room for on the queue: whoever claims enqueues it. */
  next: Dispatch | null;
}

/** What the queue needs to carry a run. `dispatched_at` is Postgres time in ms. */
export interface Dispatch {
  run_id: string;
  attempt: number;
  dispatch: number;
  dispatched_at: number;
}
