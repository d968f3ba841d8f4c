import type { Redis } from "../redis/connection.ts";
import { decodeEntry, type EventBatch } from "./event-batch.ts";
import { formatEventId, LAST_N, type EventId } from "./event-id.ts";

/** About how much is read at once, in characters: what a reader holds however slow its client is. */
const PAGE_SIZE = 256_000;
const MAX_ENTRIES = 64;

/** Reads a run's stream page by page. Redis counts entries, not bytes: the count follows the size of those seen last. */
export class PageReader {
  readonly #redis: Redis;
  readonly #key: string;
  #count = 4;

  constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  /** The entries after `cursor`, oldest first. One that holds `cursor` in its middle comes again; readers skip what they have. */
  async read(cursor: EventId): Promise<EventBatch[]> {
    const from = cursor.n === LAST_N ? `${cursor.attempt + 1}-0` : `(${formatEventId(cursor)}`;
    const entries = await this.#redis.xrange(this.#key, from, "+", "COUNT", this.#count);
    if (entries.length > 0) {
      let size = 0;
      for (const [, fields] of entries) for (const field of fields) size += field.length;
      const fitting = Math.floor((PAGE_SIZE * entries.length) / Math.max(size, 1));
      this.#count = Math.max(1, Math.min(fitting, this.#count * 4, MAX_ENTRIES));
    }
    return entries.map(decodeEntry);
  }
}
