/** Why and how urgently to stop. */
export interface StopRequest {
  readonly reason: string;
  /** 1: drain; 2: hurry; 3: at once */
  readonly urgency: number;
}

/** npm passes on the signal that the terminal has sent to us as well: two of them this close are one. */
const SAME_PRESS_MS = 500;
const PARENT_CHECK_MS = 1_000;

/**
 * Calls `onStop` for Ctrl-C and its relatives, again with more urgency when they are repeated, and when the npm that
 * started us is gone: it took the terminal's attention with it, and nobody could stop us any more.
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
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => request(signal));

  // After a hang-up there is no terminal left to write to; that must not end us half-way.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

  if (process.env["npm_lifecycle_event"] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    request("npm is gone");
  }, PARENT_CHECK_MS);
  timer.unref();
}
