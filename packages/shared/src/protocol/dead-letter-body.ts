import * as z from "zod";
import { absent } from "./graph-call.ts";
import { graphId, runId } from "./ids.ts";
import { runErrorBody, runStatus } from "./responses.ts";
import { storableText } from "./text.ts";

/** Dead letters: runs that ended because they could not be executed. A part of the API that is Flotilla's own. */

/** Most of one page, and most that one request replays. */
const MOST = 100;

/** Of this century and the next: what Postgres takes, and nobody's typing error. */
const moment = z.iso
  .datetime({ offset: true, error: "must be a time with its zone, as in 2026-11-25T14:00:00Z" })
  .refine((text) => /^(20|21)/.test(text), "must be a time of this century or the next")
  .transform((text) => new Date(text));

/** A place in the list, as an earlier page gave it: when a run ended, in microseconds since 1970, and the run. */
const cursor = z
  .string()
  .regex(/^\d{1,16}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be the `next` of an earlier answer")
  .transform((text) => {
    const [endedMicros = "", id = ""] = text.split("_");
    return { endedMicros, runId: id };
  });

export function cursorOf(place: { endedMicros: string; runId: string }): string {
  return `${place.endedMicros}_${place.runId}`;
}

const errorName = storableText.min(1).max(256).meta({ description: "name of the error, as PoisonRun" });

export const listDeadLettersQuery = z.object({
  graph_id: graphId.optional(),
  error: errorName.optional(),
  since: moment.optional(),
  until: moment.optional(),
  limit: z.coerce.number().int().min(1).max(MOST).default(20),
  cursor: cursor.optional(),
});

const from = z
  .enum(["checkpoint", "start"])
  .describe("the run's last checkpoint, or what it was asked on the checkpoint on which it began");
const force = absent(z.boolean()).describe("also when another replay of the same run is in flight or has succeeded");

export const replayBody = z.object({ from, force }).meta({ id: "ReplayBody" });

/** A filter is required, if an empty one: nobody replays everything by leaving something out. */
export const replayManyBody = z
  .object({
    from,
    force,
    filter: z.object({
      graph_id: absent(graphId),
      error: absent(errorName),
      since: absent(moment),
      until: absent(moment),
      run_ids: absent(z.array(runId).min(1).max(MOST)),
    }),
    limit: absent(z.number().int().min(1).max(MOST)),
    cursor: absent(cursor),
  })
  .meta({ id: "ReplayManyBody" });
export type ReplayManyBody = z.output<typeof replayManyBody>;

const json = z.unknown();
const timestamp = z.iso.datetime({ offset: true });
const retry = z.object({ run_id: z.uuid(), status: runStatus });

const summary = {
  run_id: z.uuid(),
  thread_id: z.string(),
  assistant_id: z.uuid(),
  graph_id: z.string(),
  status: runStatus,
  error: runErrorBody,
  retry_of: z.uuid().optional().describe("the dead letter that this run replayed itself"),
  retries: z.array(retry).describe("runs that replay this one"),
  created_at: timestamp,
  started_at: timestamp.nullable(),
  ended_at: timestamp,
};

export const deadLetterList = z
  .object({
    dead_letters: z.array(
      z
        .object({ ...summary, attempt: z.number().int().describe("how often it was claimed") })
        .meta({ id: "DeadLetter" }),
    ),
    next: z.string().nullable().describe("the cursor of the next page; null: there is none"),
  })
  .meta({ id: "DeadLetterList" });

export const deadLetterStory = z
  .object({
    ...summary,
    acknowledged_at: timestamp.nullable(),
    checkpoint_id: z.string().nullable().describe("the last that the run stored"),
    base_checkpoint_id: z.string().nullable().describe("the one on which it began; null on an empty thread"),
    attempts: z.array(
      z.object({
        attempt: z.number().int(),
        worker: z.string().nullable(),
        began_at: timestamp.nullable().describe("null: it could not be started"),
        ended_at: timestamp,
        ended: z.string().describe("lost, not_started, handed_over, error, timeout"),
        reason: z.string().nullable(),
        checkpoint_id: z.string().nullable(),
        process: z
          .object({ exit_code: z.number().int().nullable(), signal: z.string().nullable(), out_of_memory: z.boolean() })
          .nullable()
          .describe("how the process died that executed the run alone"),
      }),
    ),
    log: z
      .object({ attempt: z.number().int(), lines: z.array(z.string()) })
      .nullable()
      .describe("what that process printed last"),
    thread: z.object({
      thread_id: z.string(),
      status: z.enum(["idle", "busy", "interrupted", "error"]),
      temporary: z.boolean(),
      metadata: z.record(z.string(), json),
    }),
    assistant: z.object({
      assistant_id: z.uuid(),
      graph_id: z.string(),
      name: z.string().nullable(),
      version: z.number().int().nullable(),
    }),
    metadata: z.record(z.string(), json),
    kwargs: z.record(z.string(), json).describe("what was asked: input or command, config, context, …"),
  })
  .meta({ id: "DeadLetterStory" });

export const replayed = z
  .object({ run_id: z.uuid(), thread_id: z.string(), status: runStatus, retry_of: z.uuid() })
  .meta({ id: "Replayed" });

export const replayReport = z
  .object({
    replayed: z.array(replayed),
    refused: z.array(z.object({ run_id: z.uuid(), code: z.string(), detail: z.string() })),
    next: z.string().nullable().describe("the cursor with which the rest is replayed; null: nothing is left"),
  })
  .meta({ id: "ReplayReport" });
