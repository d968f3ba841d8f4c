import * as z from "zod";
import type { TtlStrategy } from "../threads/thread-expiry-queries.ts";

/** `checkpointer` of a langgraph.json, AGENT_SERVER_API section 14. Its `serde` and `path` mean nothing here. */

/** A hundred years. */
const minutes = z.number().positive().max(52_560_000);
const ttl = z.looseObject({
  strategy: z.enum(["delete", "keep_latest"]).default("delete"),
  default_ttl: minutes.nullish(),
  sweep_interval_minutes: minutes.nullish(),
  sweep_limit: z.number().int().min(1).max(100_000).nullish(),
});

/** What becomes of threads that nobody uses any more. */
export interface ThreadTtlConfig {
  strategy: TtlStrategy;
  /** Of threads that have none of their own, in minutes after their last change; undefined when they stay for ever. */
  defaultMinutes: number | undefined;
  sweepIntervalMinutes: number;
  /** Most threads of one sweep. */
  sweepLimit: number;
}

/** As LangGraph's server has them. */
const SWEEP_INTERVAL_MINUTES = 5;
const SWEEP_LIMIT = 1_000;

export const checkpointerConfig = z
  .looseObject({ ttl: ttl.nullish() })
  .nullish()
  .transform((given): ThreadTtlConfig => {
    const { strategy = "delete", default_ttl, sweep_interval_minutes, sweep_limit } = given?.ttl ?? {};
    return {
      strategy,
      defaultMinutes: default_ttl ?? undefined,
      sweepIntervalMinutes: sweep_interval_minutes ?? SWEEP_INTERVAL_MINUTES,
      sweepLimit: sweep_limit ?? SWEEP_LIMIT,
    };
  });
