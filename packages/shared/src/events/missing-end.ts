import type { Redis } from "../redis/connection.ts";
import type { RunEvent } from "./event-batch.ts";
import { formatEventId, LAST_N } from "./event-id.ts";
import { endedChannel, streamKey, wakeChannel } from "./event-keys.ts";
import { ENDED_TTL_MS } from "./event-log.ts";

/** What a client is told at the end of a run whose worker did not say it. */
export interface EndFacts {
  runId: string;
  attempt: number;
  status: string;
  /** The run's final root state, JSON text. */
  values: string;
  /** The run's error, JSON text; null when it did not fail. */
  error: string | null;
}

/**
 * The closing events of a run whose own are missing. Their ids are the last three an attempt can have, so that whoever
 * writes them writes the same, and nothing of the attempt can follow.
 */
export function closingEvents(facts: EndFacts): RunEvent[] {
  const at = (before: bigint) => ({ attempt: facts.attempt, n: LAST_N - before });
  const events: RunEvent[] = [
    { id: at(2n), event: "values", data: facts.values },
    ...(facts.error === null ? [] : [{ id: at(1n), event: "error", data: facts.error }]),
    { id: at(0n), event: "end", data: JSON.stringify({ run_id: facts.runId, status: facts.status }) },
  ];
  if (facts.attempt === 0) return events; // it ended before it began: no event is missing
  const reason = "events before the end of the run are not kept any more";
  return [{ id: at(3n), event: "gap", data: JSON.stringify({ reason }) }, ...events];
}

/** Stores the closing events, all or none: when the worker's own `end` came first, Redis refuses each of them. */
export async function writeMissingEnd(redis: Redis, prefix: string, runId: string, events: RunEvent[]): Promise<void> {
  const key = streamKey(prefix, runId);
  const transaction = redis.multi();
  for (const { id, event, data } of events) transaction.xadd(key, formatEventId(id), event, data);
  await transaction
    .pexpire(key, ENDED_TTL_MS)
    .publish(wakeChannel(prefix, runId), "end")
    .publish(endedChannel(prefix), runId)
    .exec();
}

/** Whether a run's stream is closed by its `end`. */
export async function hasEnd(redis: Redis, prefix: string, runId: string): Promise<boolean> {
  const [last] = await redis.xrevrange(streamKey(prefix, runId), "+", "-", "COUNT", 1);
  return last !== undefined && last[1][0] === "end";
}
