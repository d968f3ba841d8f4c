import type { Logger } from "./logger.ts";

export interface StopOptions {
  logger: Logger;
  /** Ends what the process does, within its grace period. */
  stop(reason: string): Promise<void>;
  /** When the process ends whatever `stop` does, in ms from the signal. */
  deadlineMs: number;
  /** Ends the process; injected so that only `main.ts` touches `process.exit`. */
  exit(code: number): void;
}

/**
 * Turns SIGTERM, SIGINT and the loss of the parent (IPC channel) into one orderly stop. A second signal exits at once, for
 * whoever does not want to wait. SIGHUP counts as well: a closed terminal must not leave a fleet behind.
 * An uncaught exception drains and exits with 1: after it nothing in the process can be trusted for long.
 */
export function stopOnSignals({ logger, stop, deadlineMs, exit }: StopOptions): void {
  let stopping = false;
  const begin = (reason: string, code: number) => {
    if (stopping) {
      if (!reason.startsWith("SIG")) return;
      logger.warn({ reason }, "second signal: exiting at once");
      exit(130);
      return;
    }
    stopping = true;
    logger.info({ reason }, "stopping");
    setTimeout(() => {
      logger.error("did not stop in time: exiting");
      exit(1);
    }, deadlineMs).unref();
    stop(reason).then(
      () => exit(code),
      (error: unknown) => {
        logger.error({ err: error }, "did not stop cleanly");
        exit(1);
      },
    );
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => begin(signal, 0));
  process.on("disconnect", () => begin("the parent process is gone", 0));
  process.on("uncaughtException", (error) => {
    logger.fatal({ err: error }, "uncaught exception: draining, then exiting");
    begin("uncaught exception", 1);
  });
}
