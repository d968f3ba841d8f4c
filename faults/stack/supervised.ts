import { setTimeout as delay } from "node:timers/promises";
import { NodeProcess } from "../../apps/cli/src/dev/node-process.ts";

export interface SupervisedOptions {
  readonly name: string;
  readonly file: string;
  readonly env: NodeJS.ProcessEnv;
  onLine?(line: string): void;
}

/** How long a process that died stays away, in ms: what a container runtime takes, and not so short that nobody notices. */
const RESTART_MS = 500;

/** A gateway or worker that is started again whenever it ends, until it is stopped. */
export class Supervised {
  readonly name: string;
  readonly #options: SupervisedOptions;
  #current: NodeProcess;
  #stopping = false;
  #ready: Promise<string>;
  #ended: Promise<void>;
  /** All it ever was: a dead process is known by the holder of a run's attempt. */
  readonly pids: number[] = [];
  /** Ends that nobody asked for, as they were said. */
  readonly unexpected: string[] = [];
  #expected = 0;

  constructor(options: SupervisedOptions) {
    this.name = options.name;
    this.#options = options;
    this.#current = this.#start();
    this.#ready = this.#current.ready;
    this.#ended = this.#watch();
  }

  get pid(): number {
    return this.#current.pid;
  }

  /** Its address once it serves; rejects when it could not be started. */
  get ready(): Promise<string> {
    return this.#ready;
  }

  /** The address where it serves now; undefined while it is down or starting. */
  url: string | undefined;

  output(lines = 40): string {
    return this.#current.output(lines);
  }

  signal(signal: NodeJS.Signals): void {
    if (signal === "SIGKILL" || signal === "SIGTERM") {
      this.#expected = this.pid;
      this.url = undefined;
    }
    this.#current.kill(signal);
  }

  /** Sends a signal that ends the process, and waits until a successor serves: one that finds no Postgres ends as well. */
  async replace(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const dying = this.#current;
    this.signal(signal);
    await dying.exited;
    while (this.url === undefined && !this.#stopping) await delay(10);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#current.kill("SIGCONT");
    this.#current.kill("SIGTERM");
    const patience = setTimeout(() => this.#current.kill("SIGKILL"), 30_000);
    await this.#ended;
    clearTimeout(patience);
  }

  #start(): NodeProcess {
    const { name, file, env, onLine } = this.#options;
    const started = new NodeProcess({ name, file, env, ...(onLine && { onLine }) });
    this.pids.push(started.pid);
    started.ready.then(
      (url) => (this.url = url),
      () => {},
    );
    return started;
  }

  async #watch(): Promise<void> {
    for (;;) {
      const one = this.#current;
      const exit = await one.exited;
      const hadServed = await one.ready.then(
        () => true,
        () => false, // it found no Postgres, say: that is for its supervisor to try again
      );
      this.url = undefined;
      if (this.#stopping) return;
      // SIGKILL comes from the campaign or from a poisonous graph; whatever else ends a process is its own fault.
      if (hadServed && this.#expected !== one.pid && exit.signal !== "SIGKILL")
        this.unexpected.push(`${this.name} (pid ${one.pid}) ended: ${JSON.stringify(exit)}\n${one.lastWords()}`);
      await delay(RESTART_MS);
      if (this.#stopping) return;
      this.#current = this.#start();
      this.#ready = this.#current.ready;
      this.#ready.catch(() => {}); // seen by whoever waits for it, and by the next turn
    }
  }
}
