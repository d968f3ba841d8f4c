import { createHash } from "node:crypto";

/** What `fn` is called with. */
export interface OnceCall {
  /**
   * A UUID for the other side (`Idempotency-Key` and the like): the same whenever this task calls with this key, also when
   * the worker died before it knew how `fn` went, or when another run resumes the task.
   */
  idempotencyKey: string;
  /** Aborted when the run is cancelled, times out, or is not this worker's any more. */
  signal: AbortSignal;
}

/** A node's or a tool's `config`, as far as this needs it. */
export interface TaskConfig {
  configurable?: Record<string, unknown> | undefined;
  metadata?: Record<string, unknown> | undefined;
  signal?: AbortSignal | undefined;
}

/** What keeps the results, in a worker. */
export interface OnceHost {
  once(key: string, fn: (call: OnceCall) => unknown, config: TaskConfig | undefined): Promise<unknown>;
}

/** Not a module's variable: the project of a graph may have its own copy of this package, of another version. */
const HOST = Symbol.for("flotilla.once");

/** Makes every `once` of the process go to `host`; undefined takes it away. */
export function setHost(host: OnceHost | undefined): void {
  (globalThis as Record<symbol, unknown>)[HOST] = host;
}

export function findHost(): OnceHost | undefined {
  return (globalThis as Record<symbol, unknown>)[HOST] as OnceHost | undefined;
}

/** Longest key, in UTF-16 units. */
const MAX_KEY = 255;

/** @throws TypeError saying what is wrong with the key. */
export function assertOnceKey(key: unknown): asserts key is string {
  const problem =
    typeof key !== "string"
      ? `is of type ${typeof key}`
      : key === ""
        ? "is empty"
        : key.length > MAX_KEY
          ? `has ${key.length} characters`
          : /[\p{Cc}\p{Surrogate}]/u.test(key)
            ? "has control characters or halves of characters"
            : undefined;
  if (problem !== undefined)
    throw new TypeError(
      `The key of once() must be a string of 1 to ${MAX_KEY} printable characters; this one ${problem}`,
    );
}

/** A UUID (version 8) that says nothing of its parts but whether they are the same. */
export function uuidOf(parts: unknown[]): string {
  const bytes = createHash("sha256")
    .update(JSON.stringify(["flotilla.once", ...parts]))
    .digest()
    .subarray(0, 16);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
