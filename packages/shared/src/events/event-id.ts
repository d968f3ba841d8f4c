/**
 * The id of an event is `<attempt>-<n>`: n counts the events of an attempt from 1. Redis refuses a stream entry whose id is
 * not greater than the last, so the append of a worker that lost its run fails by itself; the id is the SSE `id:` as well.
 */
export interface EventId {
  attempt: number;
  n: bigint;
}

/** Greatest second half of a Redis stream id. The `end` of an attempt has it: nothing of that attempt can follow. */
export const LAST_N = 18_446_744_073_709_551_615n;

/** Before every event. */
export const BEGINNING: EventId = { attempt: 0, n: 0n };

export function formatEventId(id: EventId): string {
  return `${id.attempt}-${id.n}`;
}

/** The id in `text`, or undefined when it is none of ours. */
export function parseEventId(text: string): EventId | undefined {
  const match = /^(\d{1,9})-(\d{1,20})$/.exec(text);
  if (match === null) return undefined;
  const n = BigInt(match[2] as string);
  return n <= LAST_N ? { attempt: Number(match[1]), n } : undefined;
}

export function compareEventIds(a: EventId, b: EventId): number {
  if (a.attempt !== b.attempt) return a.attempt - b.attempt;
  return a.n < b.n ? -1 : a.n > b.n ? 1 : 0;
}
