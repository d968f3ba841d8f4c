import type { Principal } from "@flotilla/shared/access/api-key";
import type { CreateRunBody } from "@flotilla/shared/protocol/run-body";
import { clientConfigurable } from "@flotilla/shared/runs/configurable";
import type { CommandInput, Durability, RunKwargs } from "@flotilla/shared/runs/run";
import type { Assistant } from "@flotilla/shared/assistants/assistant";
import { compact } from "../http/compact.ts";
import type { Idempotency } from "../http/idempotency.ts";
import type { Submission } from "./create-run.ts";

/** Turns bodies of the Agent Server API into submissions: what the assistant says under what the run says. Pure. */

const DEFAULT_MODES = ["values"];

export interface RunCaller {
  principal: Principal;
  assistant: Assistant;
  /** Of a run with a thread. Without one the run gets a thread to itself, which goes with it unless it is to be kept. */
  threadId: string | undefined;
  idempotency: Idempotency | undefined;
  /** Those of the request's headers that langgraph.json lets through to the graph, by name. */
  headers: Record<string, string>;
}

export function runSubmissionOf(body: CreateRunBody, caller: RunCaller): Submission {
  const { assistant, principal, threadId, idempotency } = caller;
  return {
    principal,
    idempotency,
    graphId: assistant.graph_id,
    assistant: { id: assistant.assistant_id, metadata: assistant.metadata },
    threadId,
    thread: threadOf(body, threadId),
    kwargs: kwargsOf(body, caller),
    metadata: { ...body.config?.metadata, ...body.metadata },
    strategy: body.multitask_strategy ?? "enqueue",
    delaySeconds: body.after_seconds ?? 0,
    resume: answerOf(body),
  };
}

function threadOf(body: CreateRunBody, threadId: string | undefined): Submission["thread"] {
  if (threadId !== undefined) return body.if_not_exists === "create" ? "made" : "required";
  return body.on_completion === "keep" ? "made" : "temporary";
}

/** AGENT_SERVER_API section 6.8. An omitted recursion limit stays out, so that the graph's own applies. */
function kwargsOf(body: CreateRunBody, { assistant, headers }: RunCaller): RunKwargs {
  const {
    metadata: _metadata,
    configurable: _configurable,
    ...config
  } = { ...assistant.config, ...compact(body.config ?? {}) };
  const own = (assistant.config["configurable"] ?? {}) as Record<string, unknown>;
  const start = startOf(body);
  const modes = body.stream_mode === undefined || body.stream_mode.length === 0 ? DEFAULT_MODES : body.stream_mode;
  return compact({
    input: body.command === undefined ? (body.input ?? null) : undefined,
    command: body.command === undefined ? undefined : commandOf(body.command),
    config: { ...config, configurable: clientConfigurable({ ...own, ...body.config?.configurable }) },
    headers: isEmpty(headers) ? undefined : headers,
    context:
      body.context === undefined && isEmpty(assistant.context) ? undefined : { ...assistant.context, ...body.context },
    checkpoint_id: start.checkpoint_id,
    checkpoint_map: start.checkpoint_map,
    webhook: body.webhook,
    interrupt_before: body.interrupt_before,
    interrupt_after: body.interrupt_after,
    stream_mode: [...new Set(modes)],
    stream_subgraphs: body.stream_subgraphs ?? false,
    resumable: body.stream_resumable ?? false,
    feedback_keys: body.feedback_keys,
    durability: durabilityOf(body),
    strict_resume: body.strict_resume,
  }) as RunKwargs;
}

function isEmpty(value: object): boolean {
  return Object.keys(value).length === 0;
}

/** `resume: null` is an answer: the key counts. Where there is a command, the input says nothing. */
function commandOf(command: NonNullable<CreateRunBody["command"]>): CommandInput {
  return compact({ resume: command.resume, update: command.update ?? undefined, goto: command.goto ?? undefined });
}

/** The older name of the same choice. */
function durabilityOf({ durability, checkpoint_during: during }: CreateRunBody): Durability | undefined {
  if (durability !== undefined || during === undefined) return durability;
  return during ? "async" : "exit";
}

/** A checkpoint of a subgraph is addressed by the root's: the map says how far each graph had got. */
function startOf({ checkpoint, checkpoint_id }: CreateRunBody): Pick<RunKwargs, "checkpoint_id" | "checkpoint_map"> {
  const map = checkpoint?.checkpoint_map;
  const root = map?.[""] ?? checkpoint?.checkpoint_id ?? checkpoint_id;
  return compact({ checkpoint_id: root, checkpoint_map: root === undefined ? undefined : map });
}

/**
 * One answer is given to the question that waits, if that is known when the run is accepted. A map of answers, and one on an
 * older checkpoint, are looked at when the run is claimed.
 */
function answerOf(body: CreateRunBody): Submission["resume"] {
  const { command } = body;
  if (command === undefined || command.resume === undefined || startOf(body).checkpoint_id !== undefined)
    return undefined;
  const { resume } = command;
  const keyed =
    typeof resume === "object" && resume !== null && !Array.isArray(resume) && Object.keys(resume).length > 0;
  if (keyed && Object.keys(resume).every((key) => /^[0-9a-f]{32}$/.test(key))) return undefined;
  return { kind: "if_waiting", answer: resume };
}
