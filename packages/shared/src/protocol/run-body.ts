import * as z from "zod";
import { absent, breakpoints, callConfig, commandInput, jsonObject, oneOrMore, streamModes } from "./graph-call.ts";
import { checkpointId, threadId } from "./ids.ts";
import { storableText } from "./text.ts";

/**
 * Bodies of the Agent Server API that submit or cancel runs, AGENT_SERVER_API section 5.1. Unknown fields are ignored; an
 * explicit null on an optional field means absent.
 */

const YEAR_SECONDS = 366 * 86_400;

export const assistantOrGraphId = storableText.min(1).max(255).meta({
  description: "an assistant's id, or a graph's: that is its default assistant",
});

/** Where a run starts, or what is read: a checkpoint of the thread, for a subgraph with those of the graphs around it. */
export const checkpointAddress = z.object({
  checkpoint_id: absent(checkpointId),
  checkpoint_ns: absent(storableText.max(2_000)),
  checkpoint_map: absent(z.record(storableText.max(2_000), checkpointId)),
});

/** `lifecycle` is in the SDK's types and adds nothing to what other modes say: it is taken, and nothing comes of it. */
const requestedModes = oneOrMore(z.union([streamModes, z.literal("lifecycle")])).transform((modes) =>
  modes.filter((mode) => mode !== "lifecycle"),
);

export const createRunBody = z
  .object({
    assistant_id: assistantOrGraphId,
    input: z.unknown().optional().meta({ description: "null continues from the latest checkpoint" }),
    command: absent(commandInput),
    config: absent(callConfig),
    context: absent(jsonObject),
    metadata: absent(jsonObject),
    checkpoint: absent(checkpointAddress),
    checkpoint_id: absent(checkpointId),
    webhook: absent(storableText.max(4_096)),
    interrupt_before: absent(breakpoints),
    interrupt_after: absent(breakpoints),
    stream_mode: absent(requestedModes),
    stream_subgraphs: absent(z.boolean()),
    stream_resumable: absent(z.boolean()),
    feedback_keys: absent(z.array(storableText.max(256)).max(100)),
    multitask_strategy: absent(z.enum(["reject", "enqueue", "interrupt", "rollback"])),
    if_not_exists: absent(z.enum(["reject", "create"])),
    after_seconds: absent(z.number().min(0).max(YEAR_SECONDS)),
    on_disconnect: absent(z.enum(["continue", "cancel"])),
    on_completion: absent(z.enum(["delete", "keep"])),
    durability: absent(z.enum(["sync", "async", "exit"])),
    checkpoint_during: absent(z.boolean()).meta({ deprecated: true }),
    strict_resume: absent(z.boolean()),
    langsmith_tracer: absent(
      z.object({ project_name: absent(storableText.max(512)), example_id: absent(storableText.max(512)) }),
    ),
  })
  .meta({ id: "CreateRunBody" });
export type CreateRunBody = z.output<typeof createRunBody>;

export const createRunsBody = z.array(createRunBody).min(1).max(500);

/** Which runs to cancel: those of a status, or some of a thread. */
export const cancelRunsBody = z
  .object({
    status: absent(z.enum(["pending", "running", "all"])),
    thread_id: absent(threadId),
    run_ids: absent(z.array(z.uuid("a run id is a UUID")).min(1).max(1_000)),
  })
  .superRefine((body, context) => {
    const byId = body.thread_id !== undefined && body.run_ids !== undefined;
    if (byId !== (body.status !== undefined)) return;
    context.addIssue({ code: "custom", path: ["status"], message: "send either status, or thread_id with run_ids" });
  })
  .meta({ id: "CancelRunsBody" });
