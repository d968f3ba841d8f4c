/**
 * Every failure a caller can act on. Anything else that reaches the edge is a bug and becomes a 500.
 * `code` is stable and machine-readable; `message` is for people and holds nothing internal.
 */
export abstract class AppError extends Error {
  abstract readonly code: string;
  abstract readonly httpStatus: number;
  override get name(): string {
    return this.constructor.name;
  }
}

/** The process cannot start with the environment it was given. The message lists every problem. */
export class InvalidEnvironment extends AppError {
  readonly code = "invalid_environment";
  readonly httpStatus = 500;
}

/** The database schema is older than this build needs. `migrate` mends it. */
export class SchemaTooOld extends AppError {
  readonly code = "schema_too_old";
  readonly httpStatus = 503;
}

/** A langgraph.json that cannot be read, or that is not one. */
export class InvalidGraphConfig extends AppError {
  readonly code = "invalid_graph_config";
  readonly httpStatus = 500;
}

/** The request is malformed as a whole: not JSON, contradictory, or not understood. */
export class BadRequest extends AppError {
  readonly code: string = "bad_request";
  readonly httpStatus = 400;
}

/** One problem of a request, with the path of the value that has it. */
export interface Problem {
  path: string;
  message: string;
}

/** The request is well-formed but its values are not what the route takes. */
export class InvalidRequest extends AppError {
  readonly code: string = "invalid_request";
  readonly httpStatus = 422;
  readonly problems: Problem[];
  constructor(message: string, problems: Problem[] = []) {
    super(message);
    this.problems = problems;
  }
}

export class Unauthorized extends AppError {
  readonly code = "unauthorized";
  readonly httpStatus = 401;
}

/** The request comes from where nobody may come from: a foreign Origin or Host on a server without keys. */
export class Forbidden extends AppError {
  readonly code = "forbidden";
  readonly httpStatus = 403;
}

/** What the caller asked for does not exist, or belongs to somebody else: the two look the same. */
export class NotFound extends AppError {
  readonly code: string;
  readonly httpStatus = 404;
  constructor(
    what:
      | "graph"
      | "assistant"
      | "assistant version"
      | "thread"
      | "run"
      | "checkpoint"
      | "dead letter"
      | "route"
      | "api key",
    message: string,
  ) {
    super(message);
    this.code = `${what.replace(" ", "_")}_not_found`;
  }
}

/** The request contradicts the state of what it addresses. */
export class Conflict extends AppError {
  readonly httpStatus = 409;
  readonly code:
    | "thread_busy"
    | "thread_of_other_graph"
    | "thread_not_interrupted"
    | "interrupt_not_waiting"
    | "several_interrupts"
    | "run_active"
    | "already_exists"
    | "waits_for_itself"
    | "already_replayed"
    | "thread_moved_on"
    | "no_checkpoint"
    | "checkpoint_gone"
    | "answer_taken";
  constructor(code: Conflict["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export class PayloadTooLarge extends AppError {
  readonly code = "payload_too_large";
  readonly httpStatus = 413;
}

/** The same Idempotency-Key came with another request. */
export class IdempotencyKeyReused extends AppError {
  readonly code = "idempotency_key_reused";
  readonly httpStatus = 422;
}

/** A part that the request needs does not answer. The caller may try again. */
export class Unavailable extends AppError {
  readonly code = "unavailable";
  readonly httpStatus = 503;
}

/** The server has too much to do: of a submission nothing is stored. The caller may try again a little later. */
export class Overloaded extends AppError {
  readonly httpStatus = 503;
  readonly code: "redis_full" | "database_busy" | "too_many_pending_runs" | "too_many_pending_runs_of_tenant";
  constructor(code: Overloaded["code"], message: string) {
    super(message);
    this.code = code;
  }
}

/** The server knows the graph but cannot make it: its module failed to load, or its factory gave no graph. `cause` says why, for the log. */
export class GraphNotLoaded extends AppError {
  readonly code = "graph_not_loaded";
  readonly httpStatus = 503;
}

/** A write carried an attempt that is not the run's any more: another worker holds it, or it has ended. */
export class LeaseLost extends AppError {
  readonly code = "lease_lost";
  readonly httpStatus = 409;
  readonly runId: string;
  constructor(runId: string, detail = "another attempt holds it or it has ended") {
    super(`Run ${runId}: the lease is lost (${detail})`);
    this.runId = runId;
  }
}

/** A call of `once` that cannot keep what it promises, or a result that cannot be stored. The message says what to do. */
export class OnceRefused extends AppError {
  readonly code = "once_refused";
  readonly httpStatus = 500;
}

/** Somebody cancelled the run. Travels as the reason on the run's abort signal. */
export class RunCancelled extends AppError {
  readonly code = "run_cancelled";
  readonly httpStatus = 409;
  readonly action: "interrupt" | "rollback";
  constructor(action: "interrupt" | "rollback") {
    super(`The run was cancelled (${action})`);
    this.action = action;
  }
}

/** The run was executed for longer than it may be, counted from its first start over all attempts. */
export class RunTimedOut extends AppError {
  readonly code = "run_timed_out";
  readonly httpStatus = 504;
  constructor(seconds: number) {
    super(`The run took longer than ${seconds} s`);
  }
}

/** The process is going away; the run is handed to another worker. */
export class ShuttingDown extends AppError {
  readonly code = "shutting_down";
  readonly httpStatus = 503;
}

/** The text of anything thrown, without a stack. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}
