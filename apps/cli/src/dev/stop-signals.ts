import { watchNpm } from "./npm-watch.ts";

/** Why and how urgently to stop. */
export interface StopRequest {
  readonly reason: string;
  /** 1: drain; 2: hurry; 3: at once */
  readonly urgency: number;
}

/** Some versions of npm pass on the signal that the terminal has sent to us as well: two of them this close are one. */
const SAME_PRESS_MS = 500;

/**
 * Calls `onStop` for Ctrl-C and its relatives, again with more urgency when they are repeated, and when the npm that
 * started us is gone.
 */
export function watchStopSignals(onStop: (request: StopRequest) => void): void {
  let urgency = 0;
  let lastAt = -Infinity;
  const request = (reason: string): void => {
    const now = performance.now();
    if (now - lastAt < SAME_PRESS_MS) return;
    lastAt = now;
    urgency += 1;
    onStop({ reason, urgency });
  };
  process.on("SIGINT", () => request("Ctrl-C"));
  process.on("SIGTERM", () => request("SIGTERM"));
  process.on("SIGHUP", () => request("the terminal is gone"));

  // After a hang-up there is no terminal left to write to; that must not end us half-way.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

  watchNpm(() => request("npm is gone"));
}
