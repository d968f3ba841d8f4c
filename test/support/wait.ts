import { setTimeout as delay } from "node:timers/promises";

export interface EventuallyOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
  /** what is waited for, for the message: "the run is settled" */
  readonly what?: string;
}

/**
 * Calls `look` until it neither throws nor gives undefined, null or false, and gives what it gave. Put the assertion
 * inside: when the time is up the last failure is the cause of the error.
 *
 * @example const row = await eventually(() => findRun(id).then((run) => run.status === "success" && run));
 */
export async function eventually<T>(
  look: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 25, what }: EventuallyOptions = {},
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + timeoutMs;
  let last: { value: T } | { error: unknown };
  do {
    try {
      last = { value: await look() };
      const { value } = last;
      if (value !== undefined && value !== null && value !== false) {
        return value as Exclude<T, undefined | null | false>;
      }
    } catch (error) {
      last = { error };
    }
    await delay(everyMs);
  } while (performance.now() < deadline);

  const seen = "error" in last ? `last failure: ${String(last.error)}` : `last seen: ${JSON.stringify(last.value)}`;
  const cause = "error" in last ? { cause: last.error } : {};
  throw new Error(`${what ?? "the condition"} did not come true within ${timeoutMs} ms; ${seen}`, cause);
}
