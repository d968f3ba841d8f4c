import { setTimeout as delay } from "node:timers/promises";
import type { Failpoint } from "../process/failpoints.ts";
import type { Redis } from "../redis/connection.ts";
import { encodeBatch } from "./event-batch.ts";
import { formatEventId, LAST_N, parseEventId, type EventId } from "./event-id.ts";
import { endedChannel, streamKey, wakeChannel } from "./event-keys.ts";

/** Most events and bytes that are kept of a run. What is trimmed shows up as a gap at a reader that is behind. */
export interface EventCap {
  events: number;
  bytes: number;
}

export interface EventLogOptions {
  redis: Redis;
  prefix: string;
  runId: string;
  attempt: number;
  cap: EventCap;
  /** Whether somebody is known to follow the run from its first event on. */
  followed: boolean;
  /** Test hook around each append to Redis. */
  failpoint?: Failpoint;
  /** Called when nothing more is appended. */
  onClosed?(): void;
}

/** While the run lives, its stream outlives a process that has died by this time, in ms; see `keepAlive`. */
export const LIVE_TTL_MS = 3_600_000;
/** After the end, in ms. */
export const ENDED_TTL_MS = 900_000;
/** Shortest time between two appends while somebody follows the run, in ms: chunks of a token stream go out together. */
const BATCH_MS = 4;
/**
 * The same while nobody does, as the wake-up of the last append has shown. Who joins says so, see `follow`; this is how long
 * he waits when that message is lost. A run that ends before costs two pipelines in place of one for each of its states.
 */
const UNFOLLOWED_BATCH_MS = 1_000;
const RETRY_MS = 200;
/** How long an attempt looks for what earlier ones left in a Redis that hangs, in ms. */
const LOOK_MS = 500;
/** How long the end of a run waits for a Redis that takes none of its events, in ms. */
const FLUSH_MS = 1_500;
/** An entry holds at most this much, or one event. In characters. */
const MAX_ENTRY = 64_000;

interface Waiting {
  event: string;
  data: string;
  /** by this process's clock, in ms */
  appendedAt: number;
}

interface Kept {
  lastN: bigint;
  events: number;
  bytes: number;
}

/**
 * Writes the events of one attempt to the run's Redis stream. A stream entry is a batch (`encodeBatch`), and its id
 * is that of its last event. Ids are counted here, so a hole in them means that
 * events were lost, and readers say so.
 *
 * Appending never waits and never fails: Redis is a hint. While it is away, events wait here up to the cap, then the oldest
 * are dropped. A refused id means that the log is not ours any more (a later attempt writes, or the run has ended): nothing
 * more is written.
 */
export class EventLog {
  readonly #options: EventLogOptions;
  readonly #key: string;
  #n = 0n;
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #flushing: Promise<void> | undefined;
  /** Whether somebody heard the last wake-up, or has said that he follows. */
  #followed: boolean;
  #writtenAt: number;
  /** Somebody waits for the flush. */
  #hurry = false;
  /** Appends to Redis that succeeded. */
  #writes = 0;
  #endPause: () => void = () => {};
  #refused = false;
  #kept: Kept[] = [];
  #keptEvents = 0;
  #keptBytes = 0;
  #isWritten = false;

  constructor(options: EventLogOptions) {
    this.#options = options;
    this.#key = streamKey(options.prefix, options.runId);
    this.#followed = options.followed;
    this.#writtenAt = options.followed ? -Infinity : performance.now();
  }

  /**
   * The id of the last event of earlier attempts; undefined when nothing of them is kept. To be called once, before the
   * first append of an attempt that is not the first.
   */
  async previousEnd(): Promise<EventId | undefined> {
    const { redis } = this.#options;
    const late = new AbortController();
    const hangs = delay(LOOK_MS, undefined, { ref: false, signal: late.signal }).catch(() => undefined);
    try {
      const kept = Promise.all([
        redis.xrevrange(this.#key, "+", "-", "COUNT", 1),
        redis.xlen(this.#key),
        redis.memory("USAGE", this.#key),
      ]);
      const [last, length, bytes] = (await Promise.race([kept, hangs])) ?? [[], 0, 0];
      if (last[0] === undefined) return undefined;
      this.#keep({ lastN: 0n, events: length, bytes: Number(bytes ?? 0) });
      return parseEventId(last[0][0]);
    } catch {
      return undefined; // Redis is away: readers will find a gap
    } finally {
      late.abort();
    }
  }

  /** Appends an event. `data` is one line of JSON, serialised once here and copied by everybody after. */
  append(event: string, data: string): void {
    if (this.#refused) return;
    this.#n++;
    this.#waiting.push({ event, data, appendedAt: Date.now() });
    this.#waitingBytes += event.length + data.length;
    if (this.#waitingBytes >= MAX_ENTRY) this.#endPause();
    this.#flushing ??= this.#flushAll();
  }

  /** How many events were appended, whether they have reached Redis or not. */
  get count(): number {
    return Number(this.#n);
  }

  /** Renews the time that the stream is kept, for a run that is silent. To be called a few times an hour. */
  keepAlive(): void {
    if (this.#isWritten && !this.#refused) this.#options.redis.pexpire(this.#key, LIVE_TTL_MS).catch(() => {});
  }

  /** Whether somebody is known to follow. */
  get isFollowed(): boolean {
    return this.#followed;
  }

  /** Whether more waits than goes out at once. */
  get isBehind(): boolean {
    return this.#waitingBytes >= MAX_ENTRY;
  }

  /** Somebody follows from now on: what waits goes out at once. */
  follow(): void {
    this.#followed = true;
    this.#endPause();
  }

  /**
   * Waits until everything appended so far is in Redis, for as long as that gets on: a run never waits for a Redis that takes
   * nothing for `maxMs`, and none of many events is lost because a busy one takes them slowly.
   */
  async flush(maxMs = FLUSH_MS): Promise<void> {
    if (this.#flushing === undefined) return;
    this.#hurry = true;
    this.#endPause();
    const idle = this.#idle();
    let written: number;
    do {
      written = this.#writes;
      const late = new AbortController();
      const patience = delay(maxMs, undefined, { ref: false, signal: late.signal }).catch(() => {});
      await Promise.race([idle, patience]);
      late.abort();
    } while (this.#flushing !== undefined && this.#writes > written);
    this.#hurry = false;
  }

  async #idle(): Promise<void> {
    while (this.#flushing !== undefined) await this.#flushing;
  }

  /**
   * Appends the one `end` of this attempt, after all else, and lets the stream expire.
   * @param result what requests that wait for the run's end are told with it, JSON text.
   */
  async end(data: string, result?: string): Promise<void> {
    await this.flush();
    if (this.#refused) return;
    const { redis, prefix, runId, attempt } = this.#options;
    this[Symbol.dispose]();
    await redis
      .pipeline()
      .xadd(this.#key, formatEventId({ attempt, n: LAST_N }), "end", data, "last", String(this.#n))
      .pexpire(this.#key, ENDED_TTL_MS)
      .publish(wakeChannel(prefix, runId), "end")
      .publish(endedChannel(prefix), result === undefined ? runId : `${runId} ${result}`)
      .exec()
      .catch(() => null); // a gateway that sees the settled row writes the end
  }

  /** Tells waiting clients that the run goes on elsewhere; no event. */
  async close(): Promise<void> {
    await this.flush();
    this[Symbol.dispose]();
  }

  /** Nothing more is appended; what waits is dropped. */
  [Symbol.dispose](): void {
    this.#refused = true;
    this.#options.onClosed?.();
  }

  async #flushAll(): Promise<void> {
    await undefined; // events appended in the same turn go together
    while (this.#waiting.length > 0 && !this.#refused) {
      await this.#pause();
      this.#writtenAt = performance.now();
      const [batch, bytes] = this.#nextBatch();
      const lastN = this.#n - BigInt(this.#waiting.length - batch.length);
      if (!(await this.#write(batch, lastN, bytes))) {
        this.#dropOldest();
        await delay(RETRY_MS);
        continue;
      }
      this.#waiting.splice(0, batch.length);
      this.#waitingBytes -= bytes;
    }
    this.#flushing = undefined;
    if (this.#waiting.length > 0 && !this.#refused) this.#flushing = this.#flushAll();
  }

  /** Until it is time for the next append; not at all when somebody waits for it or there is enough for an entry. */
  #pause(): Promise<void> | undefined {
    const ms = (this.#followed ? BATCH_MS : UNFOLLOWED_BATCH_MS) - (performance.now() - this.#writtenAt);
    if (ms <= 0 || this.#hurry || this.#waitingBytes >= MAX_ENTRY) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** The oldest events that wait, as many as fit into an entry. */
  #nextBatch(): [batch: Waiting[], bytes: number] {
    // Whole entries are trimmed: one must be a small part of what is kept.
    const most = Math.max(1, Math.floor(this.#options.cap.events / 10));
    let bytes = 0;
    let count = 0;
    for (const { event, data } of this.#waiting) {
      const size = event.length + data.length;
      if (count > 0 && (bytes + size > MAX_ENTRY || count >= most)) break;
      bytes += size;
      count++;
    }
    return [this.#waiting.slice(0, count), bytes];
  }

  async #write(batch: Waiting[], lastN: bigint, bytes: number): Promise<boolean> {
    const { redis, prefix, runId, attempt } = this.#options;
    const id = formatEventId({ attempt, n: lastN });
    this.#keep({ lastN, events: batch.length, bytes });
    const trim = this.#trim();
    const pipeline = redis.pipeline();
    const fields = encodeBatch(batch, (batch[0] as Waiting).appendedAt);
    if (trim === undefined) pipeline.xadd(this.#key, id, ...fields);
    else pipeline.xadd(this.#key, "MINID", "=", trim, id, ...fields);
    if (!this.#isWritten) pipeline.pexpire(this.#key, LIVE_TTL_MS);
    pipeline.publish(wakeChannel(prefix, runId), "e");
    await this.#options.failpoint?.("before_events");
    const results = await pipeline.exec().catch(() => null);
    await this.#options.failpoint?.("after_events");
    const [added] = results ?? [];
    this.#followed = Number(results?.at(-1)?.[1] ?? 1) > 0;
    this.#isWritten = added?.[0] == null && added !== undefined;
    if (this.#isWritten) {
      this.#writes++;
      return true;
    }
    this.#kept.pop();
    this.#keptEvents -= batch.length;
    this.#keptBytes -= bytes;
    if (added?.[0]?.message.includes("equal or smaller") !== true) return false;
    if (await this.#isStored(lastN)) return true; // by a try whose answer was lost
    this.#refused = true;
    return true;
  }

  async #isStored(lastN: bigint): Promise<boolean> {
    const [last] = await this.#options.redis.xrevrange(this.#key, "+", "-", "COUNT", 1).catch(() => []);
    const id = last === undefined ? undefined : parseEventId(last[0]);
    return id?.attempt === this.#options.attempt && id.n !== LAST_N && id.n >= lastN;
  }

  #keep(kept: Kept): void {
    this.#kept.push(kept);
    this.#keptEvents += kept.events;
    this.#keptBytes += kept.bytes;
  }

  /** The id below which entries are over the cap, if any are. The newest batch always stays. */
  #trim(): string | undefined {
    const { cap, attempt } = this.#options;
    let dropped: Kept | undefined;
    while (this.#kept.length > 1 && (this.#keptEvents > cap.events || this.#keptBytes > cap.bytes)) {
      dropped = this.#kept.shift() as Kept;
      this.#keptEvents -= dropped.events;
      this.#keptBytes -= dropped.bytes;
    }
    return dropped === undefined ? undefined : formatEventId({ attempt, n: dropped.lastN + 1n });
  }

  #dropOldest(): void {
    const { cap } = this.#options;
    let dropped = 0;
    while (
      dropped < this.#waiting.length &&
      (this.#waiting.length - dropped > cap.events || this.#waitingBytes > cap.bytes)
    ) {
      const { event, data } = this.#waiting[dropped] as Waiting;
      this.#waitingBytes -= event.length + data.length;
      dropped++;
    }
    if (dropped > 0) this.#waiting.splice(0, dropped);
  }
}
