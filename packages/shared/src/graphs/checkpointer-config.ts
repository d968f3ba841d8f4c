import * as z from "zod";
import type { ThreadTtl } from "../protocol/thread-body.ts";
import { optional } from "./http-settings.ts";

/** The `checkpointer` part of a langgraph.json: how long threads live. */

/** A hundred years. */
const minutes = z.number().positive().max(52_560_000);

export const ttlSchema = z.object({
  /** What becomes of a thread that is due. */
  strategy: optional(z.enum(["delete", "keep_latest"])),
  /** How long a thread lives after its last change, in minutes. */
  default_ttl: optional(minutes),
  /** Time between two sweeps, in minutes; not so short that a gateway would do nothing else. */
  sweep_interval_minutes: optional(minutes.min(0.001)),
  /** Most threads of one sweep. */
  sweep_limit: optional(z.number().int().min(1).max(100_000)),
});

export const checkpointerSchema = z.object({
  ttl: optional(ttlSchema),
  /** The saver and its serialiser are the server's own. */
  path: z.unknown().optional(),
  serde: z.unknown().optional(),
});

/** What becomes of threads that nobody uses any more. */
export interface ThreadTtlConfig {
  /** Of threads that are made without one of their own; undefined: they stay. */
  byDefault: ThreadTtl | undefined;
  sweepIntervalMinutes: number;
  /** Most threads of one sweep. */
  sweepLimit: number;
}

/** As LangGraph's server has them. */
const SWEEP_INTERVAL_MINUTES = 5;
const SWEEP_LIMIT = 1_000;

export function threadTtlOf({ ttl = {} }: z.output<typeof checkpointerSchema> = {}): ThreadTtlConfig {
  const { strategy = "delete", default_ttl: minutes } = ttl;
  return {
    byDefault: minutes === undefined ? undefined : { strategy, minutes },
    sweepIntervalMinutes: ttl.sweep_interval_minutes ?? SWEEP_INTERVAL_MINUTES,
    sweepLimit: ttl.sweep_limit ?? SWEEP_LIMIT,
  };
}
