import type { Principal } from "@flotilla/shared/access/api-key";
import { InvalidRequest } from "@flotilla/shared/errors";
import type { InvokeBody, ResumeBody } from "@flotilla/shared/protocol/graph-call";
import { clientConfigurable } from "@flotilla/shared/runs/configurable";
import type { CommandInput, RunKwargs } from "@flotilla/shared/runs/run";
import { compact } from "../http/compact.ts";
import type { Idempotency } from "../http/idempotency.ts";
import type { Submission } from "../runs/create-run.ts";

/** Turns bodies of the small dialect into submissions. Pure. */

interface Caller {
  principal: Principal;
  graphId: string;
  idempotency: Idempotency | undefined;
  /** Those of the request's headers that langgraph.json lets through to the graph, by name. */
  headers: Record<string, string>;
}

export function submissionOf(body: InvokeBody, { headers, ...caller }: Caller, defaultModes: string[]): Submission {
  return {
    ...caller,
    assistant: undefined,
    threadId: body.thread_id,
    thread: "made",
    delaySeconds: 0,
    kwargs: {
      ...optionsOf(body, headers, defaultModes),
      input: body.input ?? null,
      ...(body.checkpoint_id === undefined ? {} : { checkpoint_id: body.checkpoint_id }),
    },
    metadata: metadataOf(body),
    strategy: body.multitask_strategy ?? "enqueue",
    resume: undefined,
  };
}

export function resumeOf(body: ResumeBody, { headers, ...caller }: Caller, defaultModes: string[]): Submission {
  const command: CommandInput = body.command ?? {};
  const answer: unknown = body.resume_data === undefined ? command.resume : body.resume_data;
  return {
    ...caller,
    assistant: undefined,
    threadId: body.thread_id,
    thread: "required",
    delaySeconds: 0,
    kwargs: { ...optionsOf(body, headers, defaultModes), command: { ...command, resume: answer } },
    metadata: metadataOf(body),
    strategy: body.multitask_strategy ?? "enqueue",
    resume: addressedAnswer(answer, body.interrupt_id),
  };
}

/** An object whose keys are all interrupt ids answers several questions; anything else answers one. */
function addressedAnswer(answer: unknown, interruptId: string | undefined): Submission["resume"] {
  if (interruptId !== undefined) return { kind: "named", interruptId, answer };
  const keyed =
    typeof answer === "object" && answer !== null && !Array.isArray(answer) && Object.keys(answer).length > 0;
  if (keyed && Object.keys(answer).every((key) => /^[0-9a-f]{32}$/.test(key)))
    return { kind: "map", answers: answer as Record<string, unknown> };
  return { kind: "only", answer };
}

/** LangGraph's own place for a run's metadata is its config; what the body says beside it wins. */
function metadataOf({ config, metadata }: Pick<InvokeBody, "config" | "metadata">): Record<string, unknown> {
  return { ...config?.metadata, ...metadata };
}

function optionsOf(
  body: Omit<InvokeBody, "input">,
  headers: Record<string, string>,
  defaultModes: string[],
): RunKwargs {
  const configurable = clientConfigurable(body.config?.configurable ?? {});
  const given: Partial<RunKwargs> = {};
  if (body.config !== undefined) {
    const { metadata: _metadata, ...config } = body.config;
    given.config = compact({ ...config, configurable });
  }
  if (body.context !== undefined) given.context = body.context;
  if (body.durability !== undefined) given.durability = body.durability;
  if (body.stream_subgraphs !== undefined) given.stream_subgraphs = body.stream_subgraphs;
  if (body.interrupt_before !== undefined) given.interrupt_before = body.interrupt_before;
  if (body.interrupt_after !== undefined) given.interrupt_after = body.interrupt_after;
  if (Object.keys(headers).length > 0) given.headers = headers;
  const modes = body.stream_mode === undefined || body.stream_mode.length === 0 ? defaultModes : body.stream_mode;
  return { ...given, stream_mode: [...new Set(modes)] };
}

/** The one thread id of an edit, which may come in the body or in the query. */
export function threadIdOf(body: string | undefined, query: string | undefined): string | "mismatch" {
  if (body !== undefined && query !== undefined && body !== query) return "mismatch";
  const threadId = body ?? query;
  if (threadId === undefined)
    throw new InvalidRequest("thread_id is missing", [{ path: "body.thread_id", message: "required" }]);
  return threadId;
}
