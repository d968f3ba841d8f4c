import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/**
 * When a process started, as the machine tells it. A pid alone proves nothing, since pids are given again; a pid
 * together with its start is one process. undefined: there is no such process, or only its remains.
 */
export function processStart(pid: number): string | undefined {
  if (process.platform !== "linux") return startByPs(pid);
  try {
    // The name of the program, in parentheses, may hold anything: count the fields after its last parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function startByPs(pid: number): string | undefined {
  const { stdout, status } = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
  return status === 0 ? stdout.trim() || undefined : undefined;
}

/**
 * Processes that work in a directory. Postgres and Redis make their data directory their working directory, and nobody
 * else has a reason to, so these are provably the servers of that data. The pid file is for systems without /proc,
 * where the command line has to name the directory.
 */
export function processesIn(directory: string, pidFile: string): number[] {
  if (process.platform === "linux") {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => workingDirectory(pid) === directory);
  }
  const pid = pidIn(pidFile);
  if (pid === undefined) return [];
  const { stdout } = spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.includes(directory) ? [pid] : [];
}

/** The number in the first line of a pid file. */
export function pidIn(pidFile: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(pidFile, "utf8"), 10);
    return pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Sends a signal; false when the process is gone already. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Waits until none of these processes is left; false when some still are after the time. */
export async function waitForEnd(pids: readonly number[], timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (pids.some((pid) => processStart(pid) !== undefined)) {
    if (performance.now() > deadline) return false;
    await delay(30);
  }
  return true;
}

function workingDirectory(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined; // ended meanwhile, or another user's
  }
}
