import { readFileSync, renameSync, writeFileSync } from "node:fs";

/** What we remember about a local server between two starts, in a file that only its owner can read. */
export interface ServerNotes {
  readonly port: number;
  readonly password: string;
}

export function readNotes(path: string): Partial<ServerNotes> {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Partial<ServerNotes>;
  } catch {
    return {};
  }
}

export function writeNotes(path: string, notes: ServerNotes): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(notes, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
