import type { Redis } from "ioredis";
import { expect } from "vitest";
import { decodeEntry, isEnd, type RunEvent } from "@flotilla/shared/events/event-batch";
import { compareEventIds } from "@flotilla/shared/events/event-id";
import { streamKey } from "@flotilla/shared/events/event-keys";

/** All events that a run's stream holds. */
export async function readStream(redis: Redis, prefix: string, runId: string): Promise<RunEvent[]> {
  const entries = await redis.xrange(streamKey(prefix, runId), "-", "+");
  return entries.flatMap((entry) => decodeEntry(entry).events);
}

/** Strictly increasing ids, and one end, which is the last. */
export function expectWholeStream(events: RunEvent[]): void {
  for (const [i, event] of events.entries()) {
    const previous = events[i - 1];
    if (previous !== undefined) expect(compareEventIds(previous.id, event.id)).toBeLessThan(0);
  }
  expect(events.filter(isEnd)).toHaveLength(1);
  expect(events.at(-1)?.event).toBe("end");
}
