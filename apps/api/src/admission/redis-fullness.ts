import type { Stoppable } from "@flotilla/shared/process/lifecycle";
import type { Redis } from "@flotilla/shared/redis/connection";
import { readRedisMemory, type RedisMemory } from "@flotilla/shared/redis/memory";

const EVERY_MS = 1_000;
/** An answer that is older says nothing: Redis is away, and its memory is no reason to refuse anything. In ms. */
const FRESH_MS = 5_000;

export interface RedisLimits {
  /** Of `maxmemory`, where Redis has one. */
  percent: number;
  /** In bytes, whatever `maxmemory` says. */
  bytes: number | undefined;
}

/** Looks at Redis' memory from time to time. Who asks gets what was seen last and never waits. */
export class RedisFullness implements Stoppable {
  readonly #redis: Redis;
  readonly #limits: RedisLimits;
  readonly #timer: NodeJS.Timeout;
  #seen: { memory: RedisMemory; at: number } | undefined;
  #looking = false;

  constructor(redis: Redis, limits: RedisLimits) {
    this.#redis = redis;
    this.#limits = limits;
    this.#timer = setInterval(() => void this.#look(), EVERY_MS).unref();
    redis.once("ready", () => void this.#look());
    void this.#look();
  }

  /** Whether Redis is there and holds more than it should. One that is away is not full: Postgres keeps what is accepted. */
  get isFull(): boolean {
    if (this.#seen === undefined || this.#redis.status !== "ready" || performance.now() - this.#seen.at > FRESH_MS)
      return false;
    const { used, max } = this.#seen.memory;
    return (max > 0 && used >= (max * this.#limits.percent) / 100) || used >= (this.#limits.bytes ?? Infinity);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking || this.#redis.status !== "ready") return;
    this.#looking = true;
    try {
      this.#seen = { memory: await readRedisMemory(this.#redis), at: performance.now() };
    } catch {
      // away, or it answers nobody: what was seen grows old
    } finally {
      this.#looking = false;
    }
  }
}
