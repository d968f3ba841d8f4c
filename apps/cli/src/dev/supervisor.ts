import { setTimeout as delay } from "node:timers/promises";
import { formatDuration } from "../terminal.ts";

/** One life of something that is kept running. */
export interface Life<T = unknown> {
  /** Resolves when it serves; rejects when it ends before. */
  readonly ready: Promise<T>;
  /** Resolves with the reason when it ends; never rejects. */
  readonly ended: Promise<string>;
  /** Makes it end; a server that only knows one way to stop ignores the signal. */
  end(signal: NodeJS.Signals): void;
}

export interface SupervisorOptions<T> {
  readonly name: string;
  begin(): Life<T>;
  announce(line: string): void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;
/** Who lived this long did not die of starting: the next pause is short again. */
const LIVED_LONG_MS = 30_000;

/** How long to wait before the next start after so many short lives in a row. */
export function pauseBeforeRestart(shortLives: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.max(shortLives - 1, 0), LONGEST_PAUSE_MS);
}

/** Keeps one process running: when it dies it is started again, after a pause that grows as long as it keeps dying. */
export class Supervisor<T = unknown> {
  readonly name: string;
  readonly #options: SupervisorOptions<T>;
  readonly #stopping = new AbortController();
  #life: Life<T> | undefined;
  #kept: Promise<unknown> = Promise.resolve();
  #hasServed = false;

  constructor(options: SupervisorOptions<T>) {
    this.name = options.name;
    this.#options = options;
  }

  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** Waits for the first life to serve; its failure is the caller's. From then on it is kept running. */
  async start(): Promise<T> {
    const life = this.#begin();
    this.#kept = life.ended;
    const served = await life.ready;
    this.#hasServed = true;
    this.#kept = this.#keep(life);
    return served;
  }

  /** Makes it end for good; call again with another signal to press it. Resolves when it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#stopping.abort();
    this.#life?.end(signal);
    await this.#kept;
  }

  #begin(): Life<T> {
    const life = this.#options.begin();
    life.ready.catch(() => {}); // told by `ended` as well
    this.#life = life;
    return life;
  }

  async #keep(first: Life<T>): Promise<void> {
    const { name, announce } = this.#options;
    const { signal } = this.#stopping;
    let life = first;
    let bornAt = performance.now();
    for (let shortLives = 0; ;) {
      const reason = await life.ended;
      if (signal.aborted) return;
      shortLives = performance.now() - bornAt > LIVED_LONG_MS ? 1 : shortLives + 1;
      const pause = pauseBeforeRestart(shortLives);
      announce(`${name} died (${reason}); starting it again in ${formatDuration(pause)}`);
      await delay(pause, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      bornAt = performance.now();
      life = this.#begin();
      void life.ready.then(
        () => announce(`${name} is back (${formatDuration(performance.now() - bornAt)})`),
        () => {},
      );
    }
  }
}
