import { LAST_N, parseEventId, type EventId } from "./event-id.ts";

/** One event of a run as a reader sees it. */
export interface RunEvent {
  id: EventId;
  event: string;
  /** One line of JSON, as the worker wrote it. */
  data: string;
}

/** Consecutive events of one attempt: one entry of the Redis stream. */
export interface EventBatch {
  events: RunEvent[];
  /** For the `end`: the n of the event before it. */
  lastBeforeEnd: bigint | undefined;
}

/** Decodes a stream entry. An entry of another form (nobody of ours wrote it) is empty. */
export function decodeEntry([idText, fields]: [string, string[]]): EventBatch {
  const id = parseEventId(idText);
  if (id === undefined) return { events: [], lastBeforeEnd: undefined };
  if (fields[0] === "end") {
    return {
      events: [{ id, event: "end", data: fields[1] ?? "null" }],
      lastBeforeEnd: fields[2] === "last" && fields[3] !== undefined ? BigInt(fields[3]) : undefined,
    };
  }
  const count = fields.length / 2;
  const events: RunEvent[] = [];
  for (let i = 0; i < count; i++) {
    const n = id.n - BigInt(count - 1 - i);
    events.push({ id: { attempt: id.attempt, n }, event: fields[2 * i] as string, data: fields[2 * i + 1] as string });
  }
  return { events, lastBeforeEnd: undefined };
}

export function isEnd(event: RunEvent): boolean {
  return event.event === "end" && event.id.n === LAST_N;
}
