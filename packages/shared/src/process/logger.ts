import { pino, type Logger } from "pino";

export type { Logger };

/** Paths whose values never reach a log line. */
const REDACTED = [
  "authorization",
  "*.authorization",
  "*.password",
  "*.api_key",
  '*["x-api-key"]',
  "*.cookie",
  "*.connectionString",
];

/** JSON lines on stdout. `level` is one of pino's names (LOG_LEVEL). */
export function createLogger(level: string, bindings: Record<string, unknown>): Logger {
  return pino({
    level,
    base: bindings,
    redact: { paths: REDACTED, censor: "[redacted]" },
    timestamp: pino.stdTimeFunctions.isoTime,
  });
}
