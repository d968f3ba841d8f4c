import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { lastLines } from "./run-command.ts";

/** Opens a log for writing and keeps the log of the start before as `….previous.log`. */
export function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  if (existsSync(path)) renameSync(path, path.replace(/\.log$/, ".previous.log"));
  return openSync(path, "a");
}

/** The last lines of a log, or undefined when there are none. */
export function logTail(path: string, count = 12): string | undefined {
  try {
    return lastLines(readFileSync(path, "utf8"), count) || undefined;
  } catch {
    return undefined;
  }
}

export { closeSync as closeLog };
