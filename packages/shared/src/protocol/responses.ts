import * as z from "zod";

/** What the gateway answers, for the OpenAPI document. Responses are built by hand and not parsed again. */

const json = z.unknown();
const timestamp = z.iso.datetime({ offset: true });

export const errorBody = z
  .object({
    detail: z.string(),
    code: z.string(),
    problems: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: "Error" });

export const runStatus = z.enum(["pending", "running", "success", "error", "timeout", "interrupted"]);
export const runErrorBody = z.object({ error: z.string(), message: z.string() });

export const threadHandle = z
  .object({
    thread_id: z.string(),
    run_id: z.uuid(),
    status: runStatus,
    links: z.object({ run: z.string(), stream: z.string(), state: z.string(), cancel: z.string() }),
  })
  .meta({ id: "ThreadHandle" });

export const interruptBody = z.object({ id: z.string(), value: json }).meta({ id: "Interrupt" });

export const callResult = z
  .object({
    result: json,
    thread_id: z.string(),
    run_id: z.uuid(),
    status: runStatus,
    interrupts: z.array(interruptBody),
    error: runErrorBody.optional(),
  })
  .meta({ id: "CallResult" });

export const runBody = z
  .object({
    run_id: z.uuid(),
    thread_id: z.string(),
    assistant_id: z.uuid(),
    graph_id: z.string(),
    status: runStatus,
    attempt: z.number().int(),
    story: z
      .array(
        z.looseObject({ attempt: z.number().int(), ended: z.string(), reason: z.string().nullable(), at: timestamp }),
      )
      .describe("How attempts ended that did not succeed at once: lost, handed_over, not_started, error, …"),
    retry_of: z.uuid().optional().describe("The dead letter that this run replays"),
    metadata: z.record(z.string(), json),
    kwargs: z.record(z.string(), json),
    multitask_strategy: z.string(),
    error: runErrorBody.nullable(),
    created_at: timestamp,
    updated_at: timestamp,
    started_at: timestamp.nullable(),
    ended_at: timestamp.nullable(),
  })
  .meta({ id: "Run" });

export const threadBody = z
  .object({
    thread_id: z.string(),
    created_at: timestamp,
    updated_at: timestamp,
    state_updated_at: timestamp.nullable(),
    metadata: z.record(z.string(), json),
    status: z.enum(["idle", "busy", "interrupted", "error"]),
    config: z.record(z.string(), json),
    values: json.describe("the root state after the last run or edit; null before"),
    interrupts: z.record(z.string(), z.array(interruptBody)).describe("task id to the questions that wait"),
    error: runErrorBody.optional(),
    ttl: z
      .object({ strategy: z.enum(["delete", "keep_latest"]), ttl_minutes: z.number(), expires_at: timestamp })
      .nullable()
      .optional()
      .describe("with include=ttl; null for a thread that stays"),
  })
  .meta({ id: "Thread" });

const checkpointBody = z
  .object({
    thread_id: z.string(),
    checkpoint_ns: z.string(),
    checkpoint_id: z.string(),
    checkpoint_map: z.record(z.string(), json).nullable(),
  })
  .meta({ id: "Checkpoint" });

const checkpointConfig = z.object({ configurable: checkpointBody.omit({ checkpoint_map: true }) });

export const threadState = z
  .object({
    values: json,
    next: z.array(z.string()),
    tasks: z.array(json),
    interrupts: z.array(interruptBody),
    metadata: z.record(z.string(), json).nullable(),
    created_at: z.string().nullable(),
    checkpoint: checkpointBody.nullable(),
    parent_checkpoint: checkpointBody.nullable(),
    config: checkpointConfig.nullable(),
    parent_config: checkpointConfig.nullable(),
  })
  .meta({ id: "ThreadState" });

export const graphList = z
  .object({
    graphs: z.array(z.object({ name: z.string(), description: z.string().nullable(), error: z.string().optional() })),
  })
  .meta({ id: "GraphList" });
