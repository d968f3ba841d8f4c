import { createWriteStream } from "node:fs";
import { openLog } from "../stack/log-file.ts";
import { readableLine } from "./log-lines.ts";

/** Takes a process's output: all of it goes to its log file, what matters to the terminal. */
export interface LogWriter {
  readonly file: string;
  write(line: string): void;
}

const REPEATS_HIDDEN_MS = 10_000;

export function createLogWriter(
  source: string,
  file: string,
  print: (line: string) => void,
  verbose: boolean,
): LogWriter {
  const stream = createWriteStream(file, { fd: openLog(file) });
  stream.on("error", () => {}); // a full disk must not end what is being logged
  let last = { text: "", at: 0, repeats: 0 };
  return {
    file,
    write(line) {
      stream.write(`${line}\n`);
      const text = readableLine(source, line, verbose);
      if (text === undefined) return;
      const now = performance.now();
      // A database that is away makes every poll complain: say it once, then how often.
      if (text === last.text && now - last.at < REPEATS_HIDDEN_MS) {
        last.repeats += 1;
        return;
      }
      if (last.repeats > 0) print(`${last.text}  (${last.repeats} more like this)`);
      last = { text, at: now, repeats: 0 };
      print(text);
    },
  };
}
