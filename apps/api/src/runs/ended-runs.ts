import { endedChannel } from "@flotilla/shared/events/event-keys";
import { RECONNECTED, type WakeUps } from "@flotilla/shared/events/wake-ups";

/**
 * Tells requests that wait on this gateway that their run has ended. One subscription for all of them. A message may be lost,
 * so each also looks at the row from time to time.
 */
export class EndedRuns {
  readonly #waiting = new Map<string, Set<() => void>>();

  /** @returns once Redis has confirmed the subscription, or is known to be away. */
  static async follow(wakeUps: WakeUps, prefix: string): Promise<EndedRuns> {
    const ended = new EndedRuns();
    await wakeUps.listen(endedChannel(prefix), (message) => ended.#onMessage(message));
    return ended;
  }

  /** Calls `wake` when the run ends, or may have. */
  listen(runId: string, wake: () => void): () => void {
    const wakes = this.#waiting.get(runId) ?? new Set();
    this.#waiting.set(runId, wakes.add(wake));
    return () => {
      if (wakes.delete(wake) && wakes.size === 0) this.#waiting.delete(runId);
    };
  }

  #onMessage(message: string): void {
    const told = message === RECONNECTED ? [...this.#waiting.values()] : [this.#waiting.get(message) ?? []];
    for (const wakes of told) for (const wake of [...wakes]) wake();
  }
}
