/** SQLSTATE codes by name. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const RETRYABLE = new Set([
  "40001", // serialization_failure
  "40P01", // deadlock_detected
]);
const CONNECTION = new Set([
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "53300", // too_many_connections
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOTFOUND",
  "EAI_AGAIN",
]);

export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Postgres undid the transaction for reasons that are not in it: the same again may succeed. */
export function isRetryable(error: unknown): boolean {
  return RETRYABLE.has(errorCode(error) ?? "");
}

/** Postgres could not be reached or went away: nothing is known about what the statement did. */
export function isConnectionFailure(error: unknown): boolean {
  const code = errorCode(error);
  if (code !== undefined) return CONNECTION.has(code) || code.startsWith("08");
  const message = error instanceof Error ? error.message : "";
  return /Connection terminated|connection timeout|timeout exceeded when trying to connect/i.test(message);
}

export function isUniqueViolation(error: unknown): boolean {
  return errorCode(error) === "23505";
}
