import { fork } from "node:child_process";
import type { Logger } from "@flotilla/shared/process/logger";

export interface ExecuteAloneOptions {
  /** The worker's own entry. */
  main: string;
  env: NodeJS.ProcessEnv;
  logger: Logger;
  /** Aborted when the worker drains. */
  draining: AbortSignal;
}

/**
 * Executes a run in a child process, a worker that knows this one run: when its graph takes the process down, no neighbour
 * goes with it. The child claims and settles by itself; its death is a lost lease like any other, once it has claimed.
 * @returns how it died; undefined when it came to its end.
 */
export function executeAlone(
  runId: string,
  { main, env, logger, draining }: ExecuteAloneOptions,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = fork(main, {
      env: { ...env, FLOTILLA_SOLO_RUN: runId },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const drain = () => child.kill("SIGTERM");
    draining.addEventListener("abort", drain, { once: true });
    child.once("error", (error) => {
      logger.error({ err: error, run_id: runId }, "the child for one run did not start");
      resolve(undefined); // the machine's fault, not the run's: the sweep tries again
    });
    child.once("close", (code, signal) => {
      draining.removeEventListener("abort", drain);
      if (code === 0) return resolve(undefined);
      logger.warn({ run_id: runId, code, signal }, "the child that executed one run alone died");
      resolve(signal === null ? `exit code ${code}` : `signal ${signal}`);
    });
  });
}
