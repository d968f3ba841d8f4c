import { delay, once } from "./waiting.ts";
import type { EventBatch, RunEvent } from "./event-batch.ts";
import { isEnd } from "./event-batch.ts";
import { BEGINNING, compareEventIds, formatEventId, LAST_N, type EventId } from "./event-id.ts";
import { streamKey } from "./event-keys.ts";
import { PageReader } from "./page-reader.ts";
import { RunFeed, type FeedOptions, type Subscriber } from "./run-feed.ts";

/** What a client that fell this far behind holds is dropped; it reads on from the stream by itself. In characters. */
const BACKLOG = 1_000_000;

/** The closing events that a gateway supplies have the last numbers, see missing-end.ts. */
const FIRST_CLOSING_N = LAST_N - 3n;

/** Longest wait for a Redis that hangs, in ms. */
const OPEN_MS = 500;

/** What a tail yields: events in order, or the announcement that some are missing. */
export type TailItem = EventsItem | { kind: "gap"; id: EventId; resume: EventId };

export interface EventsItem {
  kind: "events";
  events: RunEvent[];
  /** For events that come live, not out of what is kept: when the first was appended, by its worker's clock, in ms. */
  appendedAt?: number;
}

export interface TailsOptions extends FeedOptions {
  /** Called when a client takes less than comes and reads on by itself. */
  onFellBehind?(): void;
}

export interface TailOptions {
  /** Only events after this one; from the beginning when absent. */
  after?: EventId | undefined;
  signal: AbortSignal;
}

/** The tails of a gateway. One shared feed per run; clients that are behind read by themselves. */
export class EventTails {
  readonly #options: TailsOptions;
  readonly #feeds = new Map<string, RunFeed>();

  constructor(options: TailsOptions) {
    this.#options = options;
  }

  /**
   * A tail of a run that does not exist yet: subscribe before it can start, read later. Its row has to say `followed`.
   * @returns once pub/sub is confirmed.
   */
  openNew(runId: string, tenantId: string): Promise<EventTail> {
    return this.#open(runId, tenantId, false);
  }

  /** A tail of a run that may be under way. Its worker is told that somebody follows. */
  open(runId: string, tenantId: string): Promise<EventTail> {
    return this.#open(runId, tenantId, true);
  }

  async #open(runId: string, tenantId: string, mayBeUnderWay: boolean): Promise<EventTail> {
    let feed = this.#feeds.get(runId);
    if (feed === undefined) {
      feed = new RunFeed(runId, tenantId, this.#options, mayBeUnderWay, () => {
        if (this.#feeds.get(runId) === feed) this.#feeds.delete(runId);
      });
      this.#feeds.set(runId, feed);
    }
    const tail = new EventTail(feed, this.#options);
    await Promise.race([feed.ready, delay(OPEN_MS)]);
    return tail;
  }
}

/**
 * One client's view of a run's events: strictly increasing ids, no hole without a `gap`, until the one `end`.
 *
 * It first reads what is kept after its own cursor, then takes what the shared feed pushes. When the client takes less than
 * comes, the pushed events are dropped beyond a limit and the tail goes back to reading by its own cursor, at the pace of
 * the client: memory per client stays small however slow it is.
 */
export class EventTail implements Subscriber {
  readonly #feed: RunFeed;
  readonly #options: TailsOptions;
  #pushed: EventBatch[] = [];
  #pushedSize = 0;
  #overflowed = false;
  #notify: (() => void) | undefined;

  constructor(feed: RunFeed, options: TailsOptions) {
    this.#feed = feed;
    this.#options = options;
    feed.subscribe(this);
  }

  get takes(): boolean {
    return !this.#overflowed;
  }

  push(batches: EventBatch[]): void {
    if (this.#overflowed) return;
    for (const { events } of batches) for (const { data } of events) this.#pushedSize += data.length + 64;
    if (this.#pushedSize > BACKLOG) {
      this.#overflowed = true;
      this.#pushed = [];
      this.#options.onFellBehind?.();
    } else {
      this.#pushed.push(...batches);
    }
    this.#notify?.();
  }

  close(): void {
    this.#feed.unsubscribe(this);
    this.#notify?.();
  }

  /** Yields until the end, or until the signal. A client that was given the end already gets nothing. */
  async *read({ after, signal }: TailOptions): AsyncGenerator<TailItem> {
    const pages = new PageReader(this.#options.redis, streamKey(this.#options.prefix, this.#feed.runId));
    let cursor = after ?? BEGINNING;
    let behind = true;
    try {
      while (!signal.aborted && cursor.n !== LAST_N) {
        let batches: EventBatch[];
        if (behind) {
          const page = await readPage(pages, cursor);
          batches = page ?? this.#takePushed(); // without Redis, the feed may still hand out an end
          if (page?.length === 0) behind = this.#overflowed ? this.#forgetOverflow(cursor) : false;
        } else {
          if (this.#overflowed) {
            behind = true;
            continue;
          }
          batches = this.#takePushed();
          if (batches.length === 0) await once((notify) => (this.#notify = notify), signal);
        }
        for (const item of itemsAfter(batches, cursor)) {
          if (behind && item.kind === "events") delete item.appendedAt;
          cursor = item.kind === "events" ? (item.events.at(-1) as RunEvent).id : item.resume;
          yield item;
          if (signal.aborted) return;
        }
      }
    } finally {
      this.close();
    }
  }

  #takePushed(): EventBatch[] {
    const batches = this.#pushed;
    this.#pushed = [];
    this.#pushedSize = 0;
    return batches;
  }

  /** After a read that found nothing more: what was dropped has been read, or comes with the next read. */
  #forgetOverflow(cursor: EventId): boolean {
    this.#overflowed = false;
    this.#pushedSize = 0;
    this.#feed.resume(cursor);
    return true;
  }
}

async function readPage(pages: PageReader, cursor: EventId): Promise<EventBatch[] | undefined> {
  try {
    return await pages.read(cursor);
  } catch {
    await delay(250); // Redis is away; the feed watches the row meanwhile
    return undefined;
  }
}

/** The events after `cursor`, with a gap wherever the numbers say that some are missing. */
export function itemsAfter(batches: EventBatch[], cursor: EventId): TailItem[] {
  const items: TailItem[] = [];
  let at = cursor;
  for (const batch of batches) {
    const events = batch.events.filter((event) => compareEventIds(event.id, at) > 0);
    const [first] = events;
    if (first === undefined) continue;
    const missing = missingBefore(first, batch, at);
    if (missing !== undefined) items.push({ kind: "gap", id: missing, resume: missing });
    const { appendedAt } = batch;
    items.push({ kind: "events", events, ...(appendedAt === undefined ? {} : { appendedAt }) });
    at = (events.at(-1) as RunEvent).id;
  }
  return items;
}

/** The id of the last missing event before `event`, or undefined when nothing is missing after `cursor`. */
function missingBefore(event: RunEvent, batch: EventBatch, cursor: EventId): EventId | undefined {
  const { attempt, n } = event.id;
  if (isEnd(event)) {
    const last = batch.lastBeforeEnd;
    if (last === undefined || last === 0n) return undefined; // a gateway wrote it, after a gap of its own
    return attempt === cursor.attempt && last <= cursor.n ? undefined : { attempt, n: last };
  }
  if (event.event === "gap" || n >= FIRST_CLOSING_N) return undefined; // a gateway closed the stream and said what is missing
  if (attempt === cursor.attempt) return n === cursor.n + 1n ? undefined : { attempt, n: n - 1n };
  if (n !== 1n) return { attempt, n: n - 1n };
  return missingBetweenAttempts(event, cursor);
}

/** The first event of an attempt says which was the last of those before. */
function missingBetweenAttempts(event: RunEvent, cursor: EventId): EventId | undefined {
  const { attempt } = event.id;
  if (cursor.attempt === 0 && attempt === 1) return undefined;
  const previous = previousOf(event);
  if (previous !== undefined && previous === formatEventId(cursor)) return undefined;
  if (previous === undefined && cursor.attempt === 0) return { attempt: attempt - 1, n: LAST_N - 1n };
  if (previous === undefined) return { attempt: attempt - 1, n: LAST_N - 1n };
  const [before, n] = previous.split("-") as [string, string];
  const id = { attempt: Number(before), n: BigInt(n) };
  return compareEventIds(id, cursor) > 0 ? id : undefined;
}

function previousOf(event: RunEvent): string | undefined {
  if (event.event !== "metadata") return undefined;
  const { previous } = JSON.parse(event.data) as { previous?: string | null };
  return previous ?? undefined;
}
