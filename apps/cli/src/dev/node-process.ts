import { fork, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { lastLines } from "../stack/run-command.ts";

export interface NodeProcessOptions {
  /** its title in `ps` and its name in messages: "worker 1" */
  readonly name: string;
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  onLine?(line: string, stream: "stdout" | "stderr"): void;
}

/** How a process ended: exactly one of the two is set. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const KEPT_LINES = 400;
const LAST_WORDS_MS = 200;

/**
 * A gateway or worker process. It says `{ type: "ready", url }` over IPC when it serves, drains on SIGTERM, and drains
 * by itself when the IPC channel closes because we died. It has a session of its own, so that Ctrl-C reaches only us and
 * it is not told twice to stop, which would mean "hurry".
 */
export class NodeProcess {
  readonly name: string;
  readonly pid: number;
  /** Resolves with its address; rejects with its last words when it ends before. */
  readonly ready: Promise<string>;
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  readonly #errors: string[] = [];

  constructor(options: NodeProcessOptions) {
    this.name = options.name;
    this.#child = fork(options.file, [], {
      env: options.env,
      execArgv: [],
      detached: true,
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    this.pid = this.#child.pid ?? 0;
    this.#keepOutput(options);
    this.exited = new Promise((resolve) => {
      this.#child.once("error", (error) => {
        this.#errors.push(error.message);
        if (this.#child.pid === undefined) resolve({ code: 1, signal: null });
      });
      // What it printed last is still on its way at "exit"; but something it has spawned may keep its output open for ever.
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
      this.#child.once("exit", (code, signal) => setTimeout(() => resolve({ code, signal }), LAST_WORDS_MS));
    });
    this.ready = Promise.race([this.#readyMessage(), this.#endBeforeReady()]);
    this.ready.catch(() => {}); // whoever waits for it gets the rejection; nobody has to
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** What it printed lately. */
  output(lines = KEPT_LINES): string {
    return this.#lines.slice(-lines).join("\n");
  }

  /** What it printed to stderr lately, else to stdout: the reason when it fails. */
  lastWords(lines = 12): string {
    return this.#errors.length > 0 ? this.#errors.slice(-lines).join("\n") : lastLines(this.output(lines));
  }

  #keepOutput({ onLine }: NodeProcessOptions): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const source = this.#child[stream];
      if (!source) continue;
      createInterface({ input: source }).on("line", (line) => {
        for (const kept of stream === "stderr" ? [this.#lines, this.#errors] : [this.#lines]) {
          kept.push(line);
          if (kept.length > KEPT_LINES) kept.shift();
        }
        onLine?.(line, stream);
      });
    }
  }

  #readyMessage(): Promise<string> {
    return new Promise((resolve) => {
      this.#child.on("message", (message: unknown) => {
        const { type, url } = (message ?? {}) as { type?: unknown; url?: unknown };
        if (type === "ready") resolve(String(url));
      });
    });
  }

  async #endBeforeReady(): Promise<never> {
    const exit = await this.exited;
    throw new Error(`${this.name} ended before it was ready (${describeExit(exit)})\n${this.lastWords()}`);
  }
}

export function describeExit({ code, signal }: Exit): string {
  return signal ? `ended by ${signal}` : `exit code ${code}`;
}
