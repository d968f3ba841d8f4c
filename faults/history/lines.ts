/**
 * The history of a campaign: everything that the checker judges by, a JSON object a line. Times are in ms since 1970, by the
 * one clock of the machine, Postgres' included.
 */
export type Line =
  | CampaignLine
  | AcceptedLine
  | UnansweredLine
  | CancelLine
  | StreamLine
  | PeekLine
  | FaultLine
  | EffectLine
  | TransitionLine
  | RunLine
  | CheckpointLine
  | ThreadLine
  | ResourceLine;

export interface CampaignLine {
  type: "campaign";
  seed: number;
  at: number;
  commit: string;
  options: Record<string, unknown>;
}

/** How a client submitted a run, and so what has to become of it. */
export type Operation = "invoke" | "stream" | "compute" | "cancel" | "storm" | "approve" | "answer" | "poison";

/** A gateway answered a submission with 2xx. */
export interface AcceptedLine {
  type: "accepted";
  at: number;
  operation: Operation;
  run: string;
  thread: string;
  tenant: string;
  /** The text that the run adds to `inputs`, or its question or answer. */
  input: string;
  steps: number;
  strategy: "enqueue" | "interrupt" | "rollback";
}

/** A submission that was repeated until the client gave up: a run may exist or not. */
export interface UnansweredLine {
  type: "unanswered";
  at: number;
  operation: Operation;
  input: string;
  reason: string;
}

/** A cancel that a gateway answered with 2xx. */
export interface CancelLine {
  type: "cancel";
  /** when it was answered */
  at: number;
  run: string;
  action: "interrupt" | "rollback";
}

/** What one client saw of a run's stream, over all its connections. */
export interface StreamLine {
  type: "stream";
  run: string;
  /** `id event`, or `- event` without an id, in the order of arrival. */
  events: string[];
  connections: number;
  /** Data of the last event. */
  last: string;
}

/** A tenant asked for what belongs to another. */
export interface PeekLine {
  type: "peek";
  at: number;
  tenant: string;
  path: string;
  status: number;
}

export interface FaultLine {
  type: "fault";
  n: number;
  kind: string;
  target: string;
  /** A process that the fault hit; its runs are the affected ones. */
  pid: number | undefined;
  /** When it was done to the system, and when the system was left alone again. */
  at: number;
  healedAt: number;
  /** From when on recovery is measured. */
  recoversFrom: "injection" | "healing" | "hand-over";
  /** Runs that ran when it happened: in that process, or anywhere. */
  affected: string[];
  note?: string;
}

/** A node's own word for what it did: a step began, or was done. */
export interface EffectLine {
  type: "effect";
  at: number;
  pid: number;
  run: string;
  step?: number;
  done?: number;
  answered?: string;
}

/** A change of a run's row, seen by a trigger that the campaign puts on the table. In the order of `n`. */
export interface TransitionLine {
  type: "transition";
  n: number;
  run: string;
  tenant: string;
  thread: string;
  seq: number;
  was: string | null;
  became: string;
  attempt: number;
  holder: string | null;
  at: number;
}

/** A run's row at the end. */
export interface RunLine {
  type: "run";
  run: string;
  tenant: string;
  thread: string;
  seq: number;
  status: string;
  attempt: number;
  losses: number;
  error: { error: string; message: string } | null;
}

/** A root checkpoint at the end, in the order of storage. */
export interface CheckpointLine {
  type: "checkpoint";
  thread: string;
  id: string;
  parent: string | null;
  run: string | null;
  attempt: number | null;
  source: string;
  step: number;
}

export interface ThreadLine {
  type: "thread";
  tenant: string;
  thread: string;
  status: string;
  values: Record<string, unknown> | null;
}

/** What is in use when nothing is to be done any more, and the most that may be. */
export interface ResourceLine {
  type: "resource";
  name: string;
  value: number;
  limit: number;
}
