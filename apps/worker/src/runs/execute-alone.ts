import { fork } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Readable, Writable } from "node:stream";
import { secretsOf } from "@flotilla/shared/process/redact";
import type { Logger } from "@flotilla/shared/process/logger";
import type { ChildDeath } from "@flotilla/shared/runs/dead-letter-queries";
import { OutputTail } from "./output-tail.ts";

export interface ExecuteAloneOptions {
  /** The worker's own entry. */
  main: string;
  env: NodeJS.ProcessEnv;
  logger: Logger;
  /** Aborted when the worker drains. */
  draining: AbortSignal;
  /** Where what the child prints goes on to, as it would if it were printed here. */
  stdout: Writable;
  stderr: Writable;
}

/** What is left in the pipes of a child that is gone is there at once, in ms; a process that it left behind may hold them for ever. */
const LAST_OUTPUT_MS = 500;

/**
 * Executes a run in a child process, a worker that knows this one run: when its graph takes the process down, no neighbour
 * goes with it. The child claims and settles by itself; its death is a lost lease like any other, once it has claimed.
 * @returns how it died, with what it printed last; undefined when it came to its end.
 */
export async function executeAlone(runId: string, options: ExecuteAloneOptions): Promise<ChildDeath | undefined> {
  const { main, env, logger, draining, stdout, stderr } = options;
  const killsBefore = countMemoryKills();
  const child = fork(main, { env: { ...env, FLOTILLA_SOLO_RUN: runId }, stdio: ["ignore", "pipe", "pipe", "ipc"] });
  const tail = new OutputTail();
  // Written, not piped: each pipe leaves five listeners on an output that all children share.
  const follow = (from: Readable | null, to: Writable) =>
    from?.on("data", (chunk: Buffer) => {
      tail.push(chunk);
      to.write(chunk);
    });
  follow(child.stdout, stdout);
  follow(child.stderr, stderr);
  const closed = new Promise((resolve) => child.once("close", resolve));
  const drain = () => child.kill("SIGTERM");
  draining.addEventListener("abort", drain, { once: true });
  const exit = await new Promise<{ code: number | null; signal: string | null } | undefined>((resolve) => {
    child.once("error", (error) => {
      logger.error({ err: error, run_id: runId }, "the child for one run did not start");
      resolve(undefined); // the machine's fault, not the run's: the sweep tries again
    });
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  draining.removeEventListener("abort", drain);
  if (exit === undefined || exit.code === 0) return undefined;
  const { code, signal } = exit;
  await Promise.race([closed, delay(LAST_OUTPUT_MS)]);
  const lines = tail.lines(secretsOf(env));
  const outOfMemory =
    /heap out of memory/.test(lines.join("\n")) || (signal === "SIGKILL" && countMemoryKills() > killsBefore);
  logger.warn(
    { run_id: runId, code, signal, out_of_memory: outOfMemory },
    "the child that executed one run alone died",
  );
  return { exitCode: code, signal, outOfMemory, lines };
}

/** In words. */
export function describeDeath({ exitCode, signal, outOfMemory }: ChildDeath): string {
  return `${signal === null ? `exit code ${exitCode}` : `signal ${signal}`}${outOfMemory ? ", out of memory" : ""}`;
}

/** How many processes of this container the kernel has killed for memory; 0 where it does not say. */
function countMemoryKills(): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync("/sys/fs/cgroup/memory.events", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
