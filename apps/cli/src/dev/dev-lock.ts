import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { processStart } from "../stack/process-identity.ts";

/** A process, by a pid and a start that no later process shares. */
export interface KnownProcess {
  readonly name: string;
  readonly pid: number;
  readonly start: string | undefined;
}

/** What a running `flotilla dev` leaves in its state directory, for a second start and for `flotilla demo`. */
export interface DevNotes {
  readonly launcher: KnownProcess;
  readonly url: string;
  /** the database when somebody else runs it, without the password: who needs it has to bring the address */
  readonly givenDatabase?: string | undefined;
  /** gateway and workers: a start after a sudden death waits for them */
  readonly processes: readonly KnownProcess[];
}

export function knownProcess(name: string, pid: number): KnownProcess {
  return { name, pid, start: processStart(pid) };
}

export function isAlive({ pid, start }: KnownProcess): boolean {
  return start !== undefined && processStart(pid) === start;
}

export function readDevNotes(file: string): DevNotes | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as DevNotes;
  } catch {
    return undefined;
  }
}

/** The right to run in a state directory, held by one launcher at a time. */
export interface DevLock {
  /** What a launcher that died suddenly has left. */
  readonly leftovers: readonly KnownProcess[];
  update(processes: readonly KnownProcess[]): void;
  release(): void;
}

/** Takes the lock, from a dead holder as well; gives the notes of the holder when that lives. */
export function takeDevLock(file: string, url: string, givenDatabase?: string): DevLock | { heldBy: DevNotes } {
  mkdirSync(dirname(file), { recursive: true });
  const launcher = knownProcess("flotilla", process.pid);
  const mine = `${file}.${process.pid}`;
  const write = (path: string, processes: readonly KnownProcess[]): void =>
    writeFileSync(
      path,
      `${JSON.stringify({ launcher, url, givenDatabase, processes } satisfies DevNotes, undefined, 2)}\n`,
    );

  write(mine, []);
  let leftovers: readonly KnownProcess[] = [];
  try {
    while (!linkInPlace(mine, file)) {
      const holder = readDevNotes(file);
      if (holder && holder.launcher.pid !== process.pid && isAlive(holder.launcher)) return { heldBy: holder };
      leftovers = holder?.processes.filter(isAlive) ?? [];
      removeStale(file, holder);
    }
  } finally {
    rmSync(mine, { force: true });
  }
  return {
    leftovers,
    update(processes) {
      write(mine, processes);
      renameSync(mine, file);
    },
    release: () => rmSync(file, { force: true }),
  };
}

/** A link is made whole or not at all, unlike a file that is created and then written. */
function linkInPlace(source: string, target: string): boolean {
  try {
    linkSync(source, target);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Takes a dead holder's lock away, unless another start has replaced it since we looked. */
function removeStale(file: string, seen: DevNotes | undefined): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return; // somebody else was faster
  }
  const taken = readDevNotes(aside);
  if (taken?.launcher.pid !== seen?.launcher.pid) linkInPlace(aside, file);
  rmSync(aside, { force: true });
}
