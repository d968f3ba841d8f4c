/** Anything that was started and must be stopped. */
export interface Stoppable {
  stop(): Promise<void> | void;
}

/** Stops what was started, last first; one failing stop does not skip the rest. Safe to call twice. */
export class Lifecycle {
  readonly #started: Stoppable[] = [];
  #stopping: Promise<void> | undefined;

  add<T extends Stoppable>(part: T): T {
    this.#started.push(part);
    return part;
  }

  /** Registers a stop of something that has no `stop` of its own. */
  onStop(stop: () => Promise<void> | void): void {
    this.#started.push({ stop });
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stopAll());
  }

  async #stopAll(): Promise<void> {
    const failures: unknown[] = [];
    for (const part of this.#started.toReversed()) {
      try {
        await part.stop();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, "Some parts did not stop cleanly");
  }
}
