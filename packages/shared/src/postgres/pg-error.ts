/** SQLSTATE codes by name. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const RETRYABLE = new Set([
  "40001", // serialization_failure
  "40P01", // deadlock_detected
]);
/** Classes in which the statement or its values are wrong: the same again fails again. */
const FAULTY = new Set(["0A", "21", "22", "23", "28", "2F", "39", "3D", "3F", "42", "44", "54", "P0"]);

export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Postgres undid the transaction for reasons that are not in it: the same again may succeed. */
export function isRetryable(error: unknown): boolean {
  return RETRYABLE.has(errorCode(error) ?? "");
}

/**
 * Postgres could not be reached, went away, or could not do it now: a fail-over, no room, a lock or a statement that took too
 * long. Nothing is known about what the statement did, and the same again may succeed. Whatever Postgres does not blame on
 * the statement counts as this.
 */
export function isConnectionFailure(error: unknown): boolean {
  const code = errorCode(error);
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith("E")) return !FAULTY.has(code.slice(0, 2));
  if (code !== undefined) return /^E[A-Z_]{3,}$/.test(code);
  const message = error instanceof Error ? error.message : "";
  return /Connection terminated|connection timeout|connection error|not queryable|Query read timeout|timeout exceeded when trying to connect/i.test(
    message,
  );
}

/**
 * There was no connection to be had: none of the pool's came free in time, or Postgres has no room for another. The statement
 * was never sent.
 */
export function isPoolExhausted(error: unknown): boolean {
  if (errorCode(error) === TOO_MANY_CONNECTIONS) return true;
  return error instanceof Error && error.message === "timeout exceeded when trying to connect";
}
const TOO_MANY_CONNECTIONS = "53300";

/**
 * Nobody answered, or Postgres said that it cannot now: starting, stopping, failing over, no room. Time alone mends it. A lock
 * or a statement that took too long is a connection failure in the sense above, but it may take too long every time.
 */
export function isAway(error: unknown): boolean {
  const code = errorCode(error);
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code) || code.startsWith("E")) return isConnectionFailure(error);
  return AWAY.has(code.slice(0, 2)) || code.startsWith("57P") || code === READ_ONLY;
}
/** Connection exceptions, insufficient resources, system errors. */
const AWAY = new Set(["08", "53", "58"]);
/** A standby that was the primary a moment ago. */
const READ_ONLY = "25006";

export function isUniqueViolation(error: unknown): boolean {
  return errorCode(error) === "23505";
}
