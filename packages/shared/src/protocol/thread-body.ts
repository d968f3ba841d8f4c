import * as z from "zod";
import { absent, commandInput, jsonObject } from "./graph-call.ts";
import { checkpointId, threadId } from "./ids.ts";
import { queryList } from "./query.ts";
import { checkpointAddress } from "./run-body.ts";
import { storableText } from "./text.ts";

/** Bodies of the Agent Server API that concern threads, AGENT_SERVER_API section 4. Unknown fields are ignored. */

const asNode = storableText.min(1).max(256);
const stateValues = z.union([jsonObject, z.array(z.unknown()), z.null()]);
const pageLimit = z.number().int().min(1).max(1_000);
const pageOffset = z.number().int().min(0).max(1_000_000);
const threadStatus = z.enum(["idle", "busy", "interrupted", "error"]);

/** A hundred years. */
const ttlMinutes = z.number().positive().max(52_560_000);
const ttlStrategy = z.enum(["delete", "keep_latest"]);
/** The number alone is what clients turn into the object; one that forgets to is understood. */
const ttl = z
  .union([
    ttlMinutes.transform((minutes) => ({ minutes, strategy: "delete" as const })),
    z
      .object({ ttl: ttlMinutes, strategy: absent(ttlStrategy) })
      .transform(({ ttl: minutes, strategy = "delete" }) => ({ minutes, strategy })),
  ])
  .describe("Time to live after the last change, in minutes: then the thread is erased, or all but its newest state");

/** `delete` erases the thread; `keep_latest` all but its newest state. */
export type TtlStrategy = z.output<typeof ttlStrategy>;
/** A time to live, counted from the last change of the thread's row: a run, an edit or a patch. */
export interface ThreadTtl {
  strategy: TtlStrategy;
  minutes: number;
}

const superstep = z.object({
  updates: z
    .array(z.object({ values: stateValues.optional(), command: absent(commandInput), as_node: asNode }))
    .min(1)
    .max(1_000),
});

export const createThreadBody = z
  .object({
    thread_id: absent(threadId),
    metadata: absent(jsonObject),
    if_exists: absent(z.enum(["raise", "do_nothing"])),
    ttl: absent(ttl),
    supersteps: absent(z.array(superstep).max(1_000)),
  })
  .meta({ id: "CreateThreadBody" });

export const patchThreadBody = z
  .object({ metadata: absent(jsonObject), ttl: absent(ttl) })
  .meta({ id: "PatchThreadBody" });

/** `include=ttl`: repeated, or separated by commas. */
export const includeQuery = queryList(storableText.max(256)).transform((names) =>
  names.flatMap((name) => name.split(",")).map((name) => name.trim()),
);

const filters = {
  metadata: absent(jsonObject),
  values: absent(jsonObject),
  status: absent(threadStatus),
  ids: absent(z.array(storableText.max(255)).max(1_000)),
};

/** `values.messages[-1].content`: where a search takes an extra field from. */
const extractPath = z
  .string()
  .max(256)
  .regex(
    /^(values|metadata|config|interrupts)(\.[^.[\]\0]{1,128}|\[-?\d{1,6}\])*$/,
    "a path starts with values, metadata, config or interrupts, as in values.messages[-1]",
  );

export const searchThreadsBody = z
  .object({
    ...filters,
    limit: absent(pageLimit),
    offset: absent(pageOffset),
    sort_by: absent(z.enum(["thread_id", "status", "created_at", "updated_at", "state_updated_at"])),
    sort_order: absent(
      z.preprocess((value) => (typeof value === "string" ? value.toLowerCase() : value), z.enum(["asc", "desc"])),
    ),
    select: absent(z.array(storableText.max(64)).max(50)),
    extract: absent(
      z
        .record(storableText.min(1).max(128), extractPath)
        .refine((paths) => Object.keys(paths).length <= 10, "at most 10 paths"),
    ),
  })
  .meta({ id: "SearchThreadsBody" });
export type SearchThreadsBody = z.output<typeof searchThreadsBody>;

export const countThreadsBody = z.object(filters).meta({ id: "CountThreadsBody" });

export const pruneThreadsBody = z
  .object({
    thread_ids: z.array(storableText.max(255)).min(1).max(1_000),
    strategy: absent(ttlStrategy),
  })
  .meta({ id: "PruneThreadsBody" });

export const updateThreadStateBody = z
  .object({
    values: stateValues.optional(),
    as_node: absent(asNode),
    checkpoint: absent(checkpointAddress),
    checkpoint_id: absent(checkpointId),
  })
  .meta({ id: "UpdateThreadStateBody" });

export const stateAtBody = z
  .object({
    checkpoint: checkpointAddress,
    subgraphs: absent(z.boolean()),
    select: absent(z.array(storableText.max(256)).max(50)),
  })
  .meta({ id: "StateAtCheckpointBody" });

export const historyBody = z
  .object({
    limit: absent(pageLimit),
    before: absent(
      z.union([
        checkpointId,
        z.object({ configurable: checkpointAddress }).transform(({ configurable }) => configurable.checkpoint_id),
        checkpointAddress.transform(({ checkpoint_id }) => checkpoint_id),
      ]),
    ),
    metadata: absent(jsonObject),
    checkpoint: absent(checkpointAddress),
    select: absent(z.array(storableText.max(256)).max(50)),
  })
  .meta({ id: "ThreadHistoryBody" });
