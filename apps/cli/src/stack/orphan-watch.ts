import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * Ends a server when the process that started it is gone without having stopped it (kill -9, out of memory).
 *
 * Postgres and Redis run in sessions of their own, so nothing else would. A small shell waits on a pipe from us: a line
 * says "stopped in order", the end of the pipe says that we died. The pid file must still name the server by then, so
 * that a number given again to somebody else is left alone.
 */
export interface OrphanWatch {
  /** The server was stopped in order: end without touching anything. */
  dismiss(): void;
}

const SCRIPT = fileURLToPath(new URL("../../bin/watch-orphan.sh", import.meta.url));

export interface WatchedServer {
  readonly pid: number;
  readonly pidFile: string;
  readonly signal: "INT" | "TERM";
  /** time for the users of the server to end before it */
  readonly pauseSeconds: number;
}

export function watchForOrphan(server: WatchedServer): OrphanWatch {
  const { pid, pidFile, signal, pauseSeconds } = server;
  const shell = spawn("/bin/sh", [SCRIPT, `${pid}`, pidFile, signal, `${pauseSeconds}`], {
    cwd: "/",
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  shell.on("error", () => {}); // no shell: only the protection against our own sudden death is missing
  shell.stdin.on("error", () => {});
  return { dismiss: () => void shell.stdin.end("stopped\n") };
}
