import { pino, type DestinationStream, type Logger } from "pino";
import sonicBoom from "sonic-boom";

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
  const options = {
    level,
    base: bindings,
    redact: { paths: REDACTED, censor: "[redacted]" },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  return pino(options, standardOutput());
}

/** A reader of the log that takes nothing may hold a process up for so many tenths of a second at its exit. */
const MOST_RETRIES = 50;
/** What waits for such a reader is bounded, in characters; what comes on top is lost. */
const MOST_WAITING = 16 * 1024 * 1024;

/**
 * Standard output, written beside the event loop, and to its end at exit. What becomes of whoever reads it must not matter to a process:
 * the destination that pino makes by itself repeats its last write for ever when the reader is gone, and the process never exits.
 */
function standardOutput(): DestinationStream {
  const { fd } = process.stdout;
  const options = { fd, sync: false, maxWriteRetries: MOST_RETRIES, maxLength: MOST_WAITING }; // its types know less than it does
  const output = new sonicBoom.SonicBoom(options);
  output.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") output.write = () => true; // nobody reads any more
  });
  process.once("exit", () => {
    try {
      output.flushSync();
    } catch {
      // nobody reads any more
    }
  });
  return output;
}
