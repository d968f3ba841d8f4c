import type { Redis } from "../redis/connection.ts";
import { LAST_N, parseEventId, type EventId } from "./event-id.ts";
import { streamKey } from "./event-keys.ts";

/**
 * The last event that Redis holds of a run in progress.
 * @returns undefined when there is none, when it is the end, which a reader has to be given, and while Redis is away.
 */
export async function lastEventId(redis: Redis, prefix: string, runId: string): Promise<EventId | undefined> {
  const [last] = await redis.xrevrange(streamKey(prefix, runId), "+", "-", "COUNT", 1).catch(() => []);
  const id = last === undefined ? undefined : parseEventId(last[0]);
  return id?.n === LAST_N ? undefined : id;
}
