import { EventLog, type EventLogOptions } from "@flotilla/shared/events/event-log";

/** The event logs of the attempts in progress, so that a message about a run finds its log. */
export class OpenLogs {
  readonly #logs = new Map<string, EventLog>();

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
}
