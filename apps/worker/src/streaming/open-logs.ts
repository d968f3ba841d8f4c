import { EventLog, type EventLogOptions } from "@flotilla/shared/events/event-log";
import type { Stoppable } from "@flotilla/shared/process/lifecycle";

const KEEP_ALIVE_EVERY_MS = 300_000;

/** The event logs of the attempts in progress: a message about a run finds its log, and streams of silent runs are kept. */
export class OpenLogs implements Stoppable {
  readonly #logs = new Map<string, EventLog>();
  readonly #timer: NodeJS.Timeout;

  constructor(keepAliveEveryMs = KEEP_ALIVE_EVERY_MS) {
    this.#timer = setInterval(() => {
      for (const log of this.#logs.values()) log.keepAlive();
    }, keepAliveEveryMs).unref();
  }

  open(options: EventLogOptions): EventLog {
    const log: EventLog = new EventLog({
      ...options,
      onClosed: () => {
        if (this.#logs.get(options.runId) === log) this.#logs.delete(options.runId);
      },
    });
    this.#logs.set(options.runId, log);
    return log;
  }

  /** Somebody follows the run; nothing happens when it is not executed here. */
  follow(runId: string): void {
    this.#logs.get(runId)?.follow();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
  }
}
