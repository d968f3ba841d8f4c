import * as z from "zod";
import { checkpointId, threadId } from "./ids.ts";
import { storableText } from "./text.ts";

/** Bodies of the small dialect, `/graphs/*`. Unknown fields are ignored; an explicit null on an optional field means absent. */

export const absent = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => value ?? undefined, schema.optional());
const anyJson = z.unknown().meta({ description: "any JSON value" });
export const jsonObject = z.record(z.string(), z.unknown());

export const streamModes = z.enum([
  "values",
  "updates",
  "messages",
  "messages-tuple",
  "custom",
  "events",
  "debug",
  "tasks",
  "checkpoints",
  "tools",
]);
const oneOrMoreModes = z.preprocess(
  (value) => (typeof value === "string" ? [value] : value),
  z.array(streamModes).max(10),
);
const breakpoints = z.union([z.literal("*"), z.array(z.string().max(256)).max(1000)]);

export const callConfig = z
  .object({
    tags: absent(z.array(z.string().max(256)).max(100)),
    recursion_limit: absent(z.number().int().min(1).max(1_000_000)),
    configurable: absent(jsonObject),
    metadata: absent(jsonObject).meta({ description: "goes under the run's own metadata" }),
  })
  .meta({ id: "CallConfig" });

const callOptions = {
  config: absent(callConfig),
  context: absent(jsonObject),
  metadata: absent(jsonObject),
  multitask_strategy: absent(z.enum(["reject", "enqueue", "interrupt", "rollback"])),
  durability: absent(z.enum(["sync", "async", "exit"])),
  stream_mode: absent(oneOrMoreModes),
  stream_subgraphs: absent(z.boolean()),
  interrupt_before: absent(breakpoints),
  interrupt_after: absent(breakpoints),
};

export const invokeBody = z
  .object({
    input: z
      .unknown()
      .optional()
      .meta({ description: "The graph's input. null continues from the latest checkpoint." }),
    thread_id: absent(threadId),
    checkpoint_id: absent(checkpointId),
    ...callOptions,
  })
  .meta({ id: "InvokeBody" });
export type InvokeBody = z.output<typeof invokeBody>;

export const commandInput = z.object({
  resume: z.unknown().optional(),
  update: z.unknown().optional(),
  goto: z.unknown().optional(),
});

export const resumeBody = z
  .object({
    thread_id: threadId,
    resume_data: anyJson.optional(),
    interrupt_id: absent(storableText.min(1).max(128)),
    command: absent(commandInput),
    ...callOptions,
  })
  .superRefine((body, context) => {
    const answers =
      Number("resume_data" in body && body.resume_data !== undefined) +
      Number(body.command !== undefined && "resume" in body.command);
    if (answers === 1) return;
    const message =
      answers === 0
        ? 'send resume_data, or command with resume: null, false, 0 and "" are answers too'
        : "send either resume_data or command.resume";
    context.addIssue({ code: "custom", path: ["resume_data"], message });
  })
  .meta({ id: "ResumeBody" });
export type ResumeBody = z.output<typeof resumeBody>;

export const updateStateBody = z
  .object({
    thread_id: absent(threadId),
    values: z.union([jsonObject, z.array(z.unknown()), z.null()]),
    as_node: absent(storableText.min(1).max(256)),
    checkpoint_id: absent(checkpointId),
  })
  .meta({ id: "UpdateStateBody" });
