import { fileURLToPath } from "node:url";
import { afterAll, afterEach } from "vitest";
import { NodeProcess, type Exit } from "../../apps/cli/src/dev/node-process.ts";
import { eventually } from "./wait.ts";
// For its hooks: those of a file imported earlier run later, so processes are gone before their database is.
import "./database.ts";
import { testPrefix, testRedisUrl } from "./redis.ts";

const PROGRAMS = {
  gateway: fileURLToPath(new URL("../../apps/api/dist/main.js", import.meta.url)),
  worker: fileURLToPath(new URL("../../apps/worker/dist/main.js", import.meta.url)),
};
const STOP_TIMEOUT_MS = 30_000;

export interface StackOptions {
  readonly databaseUrl: string;
  /** absolute path of a langgraph.json */
  readonly config: string;
  readonly redisUrl?: string;
  /** REDIS_PREFIX: a fresh one by default */
  readonly prefix?: string;
  /** for every process, e.g. shorter leases */
  readonly env?: Record<string, string>;
}

/** A real gateway or worker process that is ready. */
export interface StackProcess {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
  readonly exited: Promise<Exit>;
  /** Sends a signal and goes on; for SIGSTOP and SIGCONT, or to be awaited through `exited`. */
  signal(signal: NodeJS.Signals): void;
  /** Sends a signal, SIGKILL by default, and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<Exit>;
  /** Everything it printed lately. */
  output(): string;
}

/** Gateways and workers over one database, one Redis prefix and one langgraph.json, as separate processes. */
export class Stack implements AsyncDisposable {
  readonly prefix: string;
  readonly redisUrl: string;
  readonly #options: StackOptions;
  readonly #processes: NodeProcess[] = [];
  readonly #counts = { gateway: 0, worker: 0 };

  constructor(options: StackOptions) {
    this.#options = options;
    this.prefix = options.prefix ?? testPrefix();
    this.redisUrl = options.redisUrl ?? testRedisUrl();
    stacks.add(this);
  }

  startGateway(env: Record<string, string> = {}): Promise<StackProcess> {
    return this.#start("gateway", { PORT: "0", HOST: "127.0.0.1", ...env });
  }

  startWorker(env: Record<string, string> = {}): Promise<StackProcess> {
    return this.#start("worker", { WORKER_PORT: "0", N_JOBS_PER_WORKER: "10", ...env });
  }

  /** Drains everything that still runs; kills what does not end in time and says so. */
  async stop(): Promise<void> {
    stacks.delete(this);
    await Promise.all(this.#processes.map(stopProcess));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** What all processes printed lately, for the message of a failed test. */
  output(linesEach = 60): string {
    return this.#processes.map((one) => `── ${one.name} (pid ${one.pid}) ──\n${one.output(linesEach)}`).join("\n");
  }

  async #start(kind: "gateway" | "worker", env: Record<string, string>): Promise<StackProcess> {
    this.#counts[kind] += 1;
    const one = new NodeProcess({
      name: `${kind} ${this.#counts[kind]}`,
      file: PROGRAMS[kind],
      env: {
        ...process.env,
        NODE_ENV: "test",
        DATABASE_URL: this.#options.databaseUrl,
        REDIS_URL: this.redisUrl,
        REDIS_PREFIX: this.prefix,
        FLOTILLA_CONFIG: this.#options.config,
        SHUTDOWN_GRACE_SECS: "10",
        ...this.#options.env,
        ...env,
      },
    });
    this.#processes.push(one);
    const url = await one.ready;
    const signal = (name: NodeJS.Signals): void => one.kill(name);
    const kill = (name: NodeJS.Signals = "SIGKILL"): Promise<Exit> => (signal(name), one.exited);
    return { name: one.name, pid: one.pid, url, exited: one.exited, signal, kill, output: () => one.output() };
  }
}

const stacks = new Set<Stack>();

afterEach(({ task }) => {
  if (task.result?.state !== "fail") return;
  for (const stack of stacks) console.log(stack.output());
});

afterAll(async () => {
  await Promise.all([...stacks].map((stack) => stack.stop()));
});

/** A stack with its first gateway and workers, all ready. It is stopped when the test file is through, or by `stop`. */
export async function startStack(
  options: StackOptions & { readonly workers?: number },
): Promise<{ stack: Stack; gateway: StackProcess; workers: StackProcess[] }> {
  const stack = new Stack(options);
  const [gateway, ...workers] = await Promise.all([
    stack.startGateway(),
    ...Array.from({ length: options.workers ?? 1 }, () => stack.startWorker()),
  ]);
  return { stack, gateway, workers };
}

async function stopProcess(one: NodeProcess): Promise<void> {
  let ended = false;
  void one.exited.then(() => (ended = true));
  one.kill("SIGCONT");
  one.kill("SIGTERM");
  try {
    await eventually(() => ended, { timeoutMs: STOP_TIMEOUT_MS, what: `the end of ${one.name} after SIGTERM` });
  } catch (error) {
    one.kill("SIGKILL");
    await one.exited;
    throw error;
  }
}
