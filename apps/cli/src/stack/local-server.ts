import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { closeLog, logTail, openLog } from "./log-file.ts";
import { watchForOrphan } from "./orphan-watch.ts";
import { signalProcess, waitForEnd } from "./process-identity.ts";
import { StartupError } from "./startup-error.ts";
import type { SystemUser } from "./system-user.ts";

/** A server of our own that runs and answers. */
export interface RunningServer {
  readonly pid: number;
  readonly version: string;
  /** Resolves with the reason when the process ends, whoever ended it. */
  readonly exited: Promise<string>;
  /** Ends it in order, with more force when that does not help; twice is fine. */
  stop(): Promise<void>;
}

/** A running server and how to reach it: what `startLocalPostgres` and `startLocalRedis` give. */
export interface LocalServer extends RunningServer {
  readonly port: number;
  /** for clients, the password included */
  readonly url: string;
  readonly directory: string;
}

export interface ServerProcess {
  readonly part: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly pidFile: string;
  readonly logFile: string;
  readonly user?: SystemUser | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly stopSignal: "INT" | "TERM";
  readonly orphanPauseSeconds: number;
  /** One look whether it answers: the version when it does, undefined when it does not yet, an error when it never will. */
  answers(): Promise<string | undefined>;
}

const ANSWER_TIMEOUT_MS = 120_000; // recovery after a crash may take its time
const STOP_TIMEOUT_MS = 20_000;

/**
 * Starts a server and waits until it answers. It gets a session of its own, because a terminal sends Ctrl-C to
 * everything in ours, and the databases have to outlive those who use them.
 */
export async function startServer(server: ServerProcess): Promise<RunningServer> {
  const { part, logFile } = server;
  const log = openLog(logFile);
  const child = spawn(server.command, server.args, {
    cwd: server.directory,
    detached: true,
    stdio: ["ignore", log, log],
    env: server.env ?? process.env,
    ...(server.user && { uid: server.user.uid, gid: server.user.gid }),
  });
  closeLog(log);
  let ended: string | undefined;
  const exited = new Promise<string>((resolve) => {
    child.on("error", (error) => resolve((ended = error.message)));
    child.on("exit", (code, signal) => resolve((ended = signal ? `ended by ${signal}` : `exit code ${code}`)));
  });
  if (child.pid === undefined) throw new StartupError(part, `${server.command}: ${await exited}`);

  const { pid } = child;
  const watch = watchForOrphan({
    pid,
    pidFile: server.pidFile,
    signal: server.stopSignal,
    pauseSeconds: server.orphanPauseSeconds,
  });
  void exited.then(() => watch.dismiss());
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopping ??= endProcess(pid, server.stopSignal, exited));

  try {
    const version = await untilItAnswers(server, () => ended);
    return { pid, version, exited, stop };
  } catch (error) {
    await stop();
    const tail = logTail(logFile);
    throw new StartupError(part, `${part} did not start: ${(error as Error).message}`, {
      cause: error,
      remedy: `less ${logFile}`,
      ...(tail !== undefined && { logTail: tail }),
    });
  }
}

async function untilItAnswers(server: ServerProcess, ended: () => string | undefined): Promise<string> {
  const deadline = performance.now() + ANSWER_TIMEOUT_MS;
  for (;;) {
    const reason = ended();
    if (reason !== undefined) throw new Error(reason);
    const version = await server.answers();
    if (version !== undefined) return version;
    if (performance.now() > deadline) throw new Error(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`);
    await delay(25);
  }
}

/** SIGINT and SIGTERM end in order; SIGQUIT is "at once" to Postgres, which recovers from its log at the next start. */
async function endProcess(pid: number, signal: "INT" | "TERM", exited: Promise<string>): Promise<void> {
  signalProcess(pid, "SIGCONT"); // a stopped process would not hear the rest
  for (const next of [`SIG${signal}`, "SIGQUIT", "SIGKILL"] as const) {
    if (!signalProcess(pid, next)) break;
    if (await settlesWithin(exited, STOP_TIMEOUT_MS)) return;
  }
  await exited;
}

async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const timer = new AbortController();
  const late = delay(timeoutMs, false, { signal: timer.signal }).catch(() => false);
  const inTime = await Promise.race([promise.then(() => true), late]);
  timer.abort();
  return inTime;
}

/**
 * Ends what an earlier start left behind, since that died without stopping it.
 *
 * @param pids all processes that have to be gone afterwards
 * @param heads those of them that end the others in order
 */
export async function endLeftovers(
  pids: readonly number[],
  heads: readonly number[],
  signal: NodeJS.Signals,
): Promise<void> {
  for (const pid of heads) signalProcess(pid, signal);
  if (await waitForEnd(pids, STOP_TIMEOUT_MS)) return;
  for (const pid of pids) signalProcess(pid, "SIGKILL");
  await waitForEnd(pids, 5_000);
}
