import { AsyncLocalStorage } from "node:async_hooks";
import type { Logger } from "@flotilla/shared/process/logger";
import type { Lease } from "./lease.ts";

/**
 * Ties what runs asynchronously to the run whose code started it, so that a promise that a node forgot to await fails that
 * run and not the nine others on the worker. An exception that nobody catches, in a timer say, ends the process (see
 * stopOnSignals), but its run fails as well: handed over like the others, it would end one worker after the other.
 */
export class RunContext {
  readonly #storage = new AsyncLocalStorage<{ lease: Lease; graphId: string }>();

  run<T>(run: { lease: Lease; graphId: string }, work: () => Promise<T>): Promise<T> {
    return this.#storage.run(run, work);
  }

  /** The graph of the run whose code is executing. */
  get graphId(): string | undefined {
    return this.#storage.getStore()?.graphId;
  }

  /** Handles unhandled rejections of the process, and finds the run of an uncaught exception. */
  install(logger: Logger): void {
    process.on("unhandledRejection", (reason) => {
      const lease = this.#storage.getStore()?.lease;
      logger.error({ err: reason, attributed: lease !== undefined }, "a rejection was not handled");
      lease?.abort(reason instanceof Error ? reason : new Error(String(reason)));
    });
    process.on("uncaughtException", (error) => this.#storage.getStore()?.lease.abort(error));
  }
}
