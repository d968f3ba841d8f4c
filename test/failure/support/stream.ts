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

/** How many events an attempt had appended when it stored its last checkpoint. */
export interface EventMark {
  attempt: number;
  events: number;
}

/**
 * What an attempt had said before its last checkpoint is in the stream, or the next attempt, which goes on after that
 * checkpoint, names it as the last event before its own: then a reader is told of the hole.
 */
export function expectNoSilentHole(events: RunEvent[], marks: EventMark[]): void {
  for (const { attempt, events: said } of marks) {
    const next = events.find((event) => event.event === "metadata" && event.id.attempt > attempt);
    if (next === undefined) continue; // its own end, or a gateway's, closes the stream
    const stored = events.filter(({ id }) => id.attempt === attempt).length;
    const { previous } = JSON.parse(next.data) as { previous: string | null };
    const named =
      previous === null ? 0 : Number(previous.split("-")[0]) > attempt ? said : Number(previous.split("-")[1]);
    expect(Math.max(stored, named), `events of attempt ${attempt}: ${previous}`).toBeGreaterThanOrEqual(said);
  }
}
