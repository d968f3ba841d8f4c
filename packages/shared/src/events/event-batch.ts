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
  /** When the first of them was appended, by its worker's clock, in ms. */
  appendedAt?: number;
}

/** Name of the last field of a batch, which is no event: when its first event was appended. */
const APPENDED_AT = "at";

/** The fields of a stream entry: its events in order, name and data alternating, then the time. */
export function encodeBatch(events: readonly { event: string; data: string }[], appendedAt: number): string[] {
  const fields: string[] = [];
  for (const { event, data } of events) fields.push(event, data);
  fields.push(APPENDED_AT, String(appendedAt));
  return fields;
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
  const appendedAt = fields.at(-2) === APPENDED_AT ? Number(fields.at(-1)) : undefined;
  const count = fields.length / 2 - (appendedAt === undefined ? 0 : 1);
  const events: RunEvent[] = [];
  for (let i = 0; i < count; i++) {
    const n = id.n - BigInt(count - 1 - i);
    events.push({ id: { attempt: id.attempt, n }, event: fields[2 * i] as string, data: fields[2 * i + 1] as string });
  }
  return { events, lastBeforeEnd: undefined, ...(appendedAt === undefined ? {} : { appendedAt }) };
}

export function isEnd(event: RunEvent): boolean {
  return event.event === "end" && event.id.n === LAST_N;
}
