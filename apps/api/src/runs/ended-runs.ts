import { endedChannel } from "@flotilla/shared/events/event-keys";
import { RECONNECTED, type WakeUps } from "@flotilla/shared/events/wake-ups";

type Wake = (result?: string) => void;

const UUID_LENGTH = 36;

/**
 * Tells requests that wait on this gateway that their run has ended, or that the gateway goes away. One subscription for all of them. A message may be lost,
 * so each also looks at the row from time to time.
 */
export class EndedRuns {
  readonly #waiting = new Map<string, Set<Wake>>();
  #closing = false;

  /** @returns once Redis has confirmed the subscription, or is known to be away. */
  static async follow(wakeUps: WakeUps, prefix: string): Promise<EndedRuns> {
    const ended = new EndedRuns();
    await wakeUps.listen(endedChannel(prefix), (message) => ended.#onMessage(message));
    return ended;
  }

  /** Calls `wake` when the run ends, or may have; with its result when that came along. */
  listen(runId: string, wake: Wake): () => void {
    const wakes = this.#waiting.get(runId) ?? new Set<Wake>();
    this.#waiting.set(runId, wakes.add(wake));
    return () => {
      if (wakes.delete(wake) && wakes.size === 0) this.#waiting.delete(runId);
    };
  }

  get isClosing(): boolean {
    return this.#closing;
  }

  /** Ends all waits, also those that begin from now on: whoever waits is answered with what is known. */
  endAll(): void {
    this.#closing = true;
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const wakes of this.#waiting.values()) for (const wake of [...wakes]) wake();
  }

  #onMessage(message: string): void {
    if (message === RECONNECTED) return this.#wakeAll();
    const runId = message.slice(0, UUID_LENGTH);
    const result = message.length > UUID_LENGTH + 1 ? message.slice(UUID_LENGTH + 1) : undefined;
    for (const wake of [...(this.#waiting.get(runId) ?? [])]) wake(result);
  }
}
