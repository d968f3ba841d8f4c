import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Line } from "./lines.ts";

/** Writes a history, line by line. */
export class HistoryWriter {
  readonly #file: WriteStream;

  constructor(path: string) {
    this.#file = createWriteStream(path);
  }

  add(line: Line): void {
    this.#file.write(`${JSON.stringify(line)}\n`);
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#file.once("error", reject);
      this.#file.end(resolve);
    });
  }
}

/** A history by the kinds of its lines. */
export type History = { readonly [K in Line["type"]]: Extract<Line, { type: K }>[] };

export function historyOf(lines: Iterable<Line>): History {
  const history = emptyHistory();
  for (const line of lines) keep(history, line);
  return history;
}

export async function readHistory(path: string): Promise<History> {
  const history = emptyHistory();
  for await (const text of createInterface({ input: createReadStream(path) })) keep(history, JSON.parse(text) as Line);
  return history;
}

function keep(history: History, line: Line): void {
  (history[line.type] as Line[]).push(line);
}

function emptyHistory(): History {
  return {
    campaign: [],
    accepted: [],
    unanswered: [],
    cancel: [],
    stream: [],
    peek: [],
    fault: [],
    effect: [],
    transition: [],
    run: [],
    checkpoint: [],
    thread: [],
    resource: [],
  };
}
