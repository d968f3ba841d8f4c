import type { Redis } from "../redis/connection.ts";
import { delay } from "./waiting.ts";

type Listener = (message: string) => void;

/** Longest wait for Redis to confirm a subscription, in ms. */
const CONFIRM_MS = 250;

/** What a listener is told after the connection was lost: anything may have happened meanwhile. */
export const RECONNECTED = "reconnected";

/**
 * The one subscriber connection of a process, shared by all who wait. Channels are ref-counted.
 * A message is only ever a hint to look: whoever listens also looks by himself from time to time.
 */
export class WakeUps {
  readonly #redis: Redis;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(subscriber: Redis) {
    this.#redis = subscriber;
    this.#redis.on("message", (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message);
    });
    this.#redis.on("ready", () => {
      for (const listeners of this.#listeners.values()) for (const listener of listeners) listener(RECONNECTED);
    });
  }

  /** Calls `listener` for each message of `channel`. Resolves once Redis has confirmed, or is known to be away. */
  async listen(channel: string, listener: Listener): Promise<() => void> {
    let listeners = this.#listeners.get(channel);
    if (listeners === undefined) {
      listeners = new Set();
      this.#listeners.set(channel, listeners);
    }
    listeners.add(listener);
    const stop = () => this.#drop(channel, listener);
    // While Redis is away it goes out later, and `ready` wakes the listener; a Redis that hangs must not hang a request.
    const confirmed = this.#redis.subscribe(channel).catch(() => {});
    if (this.#redis.status === "ready") await Promise.race([confirmed, delay(CONFIRM_MS)]);
    return stop;
  }

  #drop(channel: string, listener: Listener): void {
    const listeners = this.#listeners.get(channel);
    if (listeners === undefined || !listeners.delete(listener) || listeners.size > 0) return;
    this.#listeners.delete(channel);
    this.#redis.unsubscribe(channel).catch(() => {});
  }
}
