import type { Stoppable } from "./lifecycle.ts";

const PERIOD_MS = 100;

/** Measures how late the event loop is. A loop that is late cannot renew, stream or answer. */
export class LoopWatchdog implements Stoppable {
  readonly #timer: NodeJS.Timeout;
  #lastTick = performance.now();
  #recent: number[] = [];

  /** @param onLate called with the delay in ms after each turn that was later than `lateMs`. */
  constructor(lateMs: number, onLate: (lagMs: number) => void) {
    this.#timer = setInterval(() => {
      const now = performance.now();
      const lag = Math.max(0, now - this.#lastTick - PERIOD_MS);
      this.#lastTick = now;
      this.#recent.push(lag);
      if (this.#recent.length > 30) this.#recent.shift();
      if (lag > lateMs) onLate(lag);
    }, PERIOD_MS).unref();
  }

  /** Worst delay of the last three seconds, in seconds. */
  get lagSeconds(): number {
    return Math.max(0, ...this.#recent, performance.now() - this.#lastTick - PERIOD_MS) / 1000;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
