import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "../redis/connection.ts";
import { decodeEntry, type EventBatch, type RunEvent } from "./event-batch.ts";
import { BEGINNING, compareEventIds, LAST_N, type EventId } from "./event-id.ts";
import { controlChannel, streamKey, wakeChannel } from "./event-keys.ts";
import { PageReader } from "./page-reader.ts";
import { writeMissingEnd } from "./missing-end.ts";
import type { WakeUps } from "./wake-ups.ts";

/** How often a silent stream is looked at without a wake-up, in ms. */
const POLL_MS = 2_500;
/** How often a stream is looked at that nobody takes events of, and a run that has ended without its `end`, in ms. */
const LOOK_MS = 1_000;

/** What a feed needs to know about a run beyond its events. */
export interface RunWatch {
  /** The run's row: `live`, or the attempt under which it ended; `gone` after a rollback. Undefined when Postgres is away. */
  state(tenantId: string, runId: string): Promise<{ live: boolean; attempt: number } | undefined>;
  /** The last events of a run that has ended and whose own `end` does not come: `gap`, `values`, `end`. */
  missingEnd(tenantId: string, runId: string, attempt: number): Promise<RunEvent[]>;
}

export interface FeedOptions {
  redis: Redis;
  wakeUps: WakeUps;
  prefix: string;
  watch: RunWatch;
}

export interface Subscriber {
  /** New events, in order, from the moment of subscription. */
  push(batches: EventBatch[]): void;
  /** False while it reads by itself, because its client takes less than comes. It says so to the feed when that is over. */
  readonly takes: boolean;
}

/**
 * The shared tail of one run on one gateway: one reader of its stream, however many clients follow. It starts at the end of
 * what is there when the first client comes and hands on what is new; what came before, clients read by themselves.
 *
 * While all of them read by themselves it does not: a stream of gigabytes would go through the gateway's memory for nobody.
 *
 * Wake-ups by pub/sub only shorten the wait: the stream is read again every few seconds, and the row is asked whether the
 * run has ended without an `end`.
 */
export class RunFeed {
  readonly runId: string;
  readonly #tenantId: string;
  readonly #options: FeedOptions;
  readonly #subscribers = new Set<Subscriber>();
  readonly #mayBeUnderWay: boolean;
  readonly #onIdle: () => void;
  readonly #pages: PageReader;
  #cursor: EventId | undefined;
  /** Nobody takes events, and none are read. */
  #idle = false;
  /** The last event that was there when nobody took any. */
  #lastThere: EventId = BEGINNING;
  #stopListening: (() => void) | undefined;
  #wake: (() => void) | undefined;
  #resume: (() => void) | undefined;
  #pendingWake = false;
  #stopped = false;
  readonly ready: Promise<void>;

  /** @param mayBeUnderWay tells the run's worker that somebody follows now. */
  constructor(runId: string, tenantId: string, options: FeedOptions, mayBeUnderWay: boolean, onIdle: () => void) {
    this.runId = runId;
    this.#tenantId = tenantId;
    this.#options = options;
    this.#mayBeUnderWay = mayBeUnderWay;
    this.#onIdle = onIdle;
    this.#pages = new PageReader(options.redis, streamKey(options.prefix, runId));
    this.ready = this.#start();
  }

  subscribe(subscriber: Subscriber): void {
    this.#subscribers.add(subscriber);
  }

  unsubscribe(subscriber: Subscriber): void {
    this.#subscribers.delete(subscriber);
    if (this.#subscribers.size === 0) this.#stop();
  }

  /** A subscriber that has read up to `from` by itself takes events again. */
  resume(from: EventId): void {
    if (!this.#idle) return; // others take them: the feed is where they are
    this.#idle = false;
    this.#cursor = laterOf(this.#cursor ?? BEGINNING, from);
    this.#resume?.();
  }

  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#stopListening?.();
    this.#wakeUp();
    this.#resume?.();
    this.#onIdle();
  }

  /** Subscribes before the first read, so that nothing falls between. */
  async #start(): Promise<void> {
    const { wakeUps, prefix, redis } = this.#options;
    this.#stopListening = await wakeUps.listen(wakeChannel(prefix, this.runId), () => this.#wakeUp());
    if (this.#stopped) return this.#stopListening();
    if (this.#mayBeUnderWay) redis.publish(controlChannel(prefix), `follow ${this.runId}`).catch(() => {}); // a hint
    try {
      const [last] = await redis.xrevrange(streamKey(prefix, this.runId), "+", "-", "COUNT", 1);
      this.#cursor =
        last === undefined ? { attempt: 0, n: 0n } : (decodeEntry(last).events.at(-1)?.id ?? { attempt: 0, n: 0n });
    } catch {
      this.#cursor = undefined; // Redis is away: the loop tries again
    }
    void this.#follow();
  }

  async #follow(): Promise<void> {
    let endedSeen = false;
    while (!this.#stopped) {
      this.#idle = ![...this.#subscribers].some(({ takes }) => takes);
      const { last, found, woken } = this.#idle ? await this.#waitForTaker() : await this.#readAndWait(endedSeen);
      if (found) endedSeen = false;
      if (found || woken || this.#stopped) continue;
      endedSeen = await this.#lookAtRow(endedSeen, last);
    }
  }

  /** A run that has ended and whose `end` did not come within a second gets it here. */
  async #lookAtRow(endedSeen: boolean, last: EventId): Promise<boolean> {
    const state = await this.#options.watch.state(this.#tenantId, this.runId).catch(() => undefined);
    if (state === undefined || state.live) return false;
    if (last.attempt >= state.attempt && last.n === LAST_N) return false;
    if (!endedSeen) return true;
    // A row that is gone has no attempt to tell: the end belongs to the last one that was seen.
    await this.#supplyEnd(Math.max(state.attempt, last.attempt)).catch(() => {});
    return true;
  }

  /** Writes the missing end, or, while Redis is away, hands it to this gateway's clients alone. */
  async #supplyEnd(attempt: number): Promise<void> {
    const { redis, prefix, watch } = this.#options;
    const events = await watch.missingEnd(this.#tenantId, this.runId, attempt);
    try {
      await writeMissingEnd(redis, prefix, this.runId, events);
    } catch {
      for (const subscriber of this.#subscribers) subscriber.push([{ events, lastBeforeEnd: undefined }]);
    }
  }

  async #readOn(): Promise<number> {
    const cursor = this.#cursor ?? { attempt: 0, n: 0n };
    try {
      const batches = await this.#pages.read(cursor);
      const last = batches.at(-1)?.events.at(-1);
      if (last === undefined) return 0;
      this.#cursor = last.id;
      for (const subscriber of this.#subscribers) subscriber.push(batches);
      return batches.length;
    } catch {
      await delay(250);
      return 0;
    }
  }

  async #readAndWait(endedSeen: boolean): Promise<Look> {
    const found = (await this.#readOn()) > 0;
    const woken = !found && (await this.#waitForWake(endedSeen ? LOOK_MS : POLL_MS));
    return { last: this.#cursor ?? BEGINNING, found, woken };
  }

  /** Looks whether the run's worker is still writing, and waits until somebody takes what it writes. */
  async #waitForTaker(): Promise<Look> {
    const { redis, prefix } = this.#options;
    const [entry] = await redis.xrevrange(streamKey(prefix, this.runId), "+", "-", "COUNT", 1).catch(() => []);
    const last = (entry && decodeEntry(entry).events.at(-1)?.id) ?? this.#lastThere;
    const found = compareEventIds(last, this.#lastThere) !== 0;
    this.#lastThere = last;
    if (this.#idle && !this.#stopped) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, LOOK_MS);
        this.#resume = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#resume = undefined;
    }
    return { last, found, woken: !this.#idle };
  }

  #wakeUp(): void {
    this.#pendingWake = true;
    this.#wake?.();
  }

  async #waitForWake(ms: number): Promise<boolean> {
    if (!this.#pendingWake && !this.#stopped) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, ms);
        function done() {
          clearTimeout(timer);
          resolve();
        }
        this.#wake = done;
      });
      this.#wake = undefined;
    }
    const woken = this.#pendingWake;
    this.#pendingWake = false;
    return woken;
  }
}

/** What a turn of the feed has come to. */
interface Look {
  /** The last event that is known of. */
  last: EventId;
  /** Whether there were new ones. */
  found: boolean;
  /** Whether there is a reason to read at once. */
  woken: boolean;
}

function laterOf(a: EventId, b: EventId): EventId {
  return compareEventIds(a, b) >= 0 ? a : b;
}
