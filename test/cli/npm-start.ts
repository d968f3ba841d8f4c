import { spawn, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { readDevNotes, type DevNotes } from "../../apps/cli/src/dev/dev-lock.ts";
import { eventually } from "../support/wait.ts";
import type { Checkout } from "./checkout.ts";

const BANNER = "Ctrl-C stops everything";
const START_TIMEOUT_MS = 120_000;

export interface NpmStartOptions {
  /** after `npm start --` */
  readonly args?: readonly string[];
  /** what the user's shell has set beside the usual */
  readonly env?: Record<string, string>;
  /** where the data is when the arguments put it elsewhere than below the checkout */
  readonly stateFolder?: string;
}

/** `npm start` as a person runs it: npm, its shell and everything below it in one process group, like in a terminal. */
export class NpmStart {
  readonly pid: number;
  /** npm's exit code or the signal that it died of: its shell hands Ctrl-C on that way */
  readonly exited: Promise<number | NodeJS.Signals | null>;
  readonly #child: ChildProcess;
  readonly #checkout: Checkout;
  readonly #stateFolder: string;
  /** In the environment of every process below us: how they are found again. */
  readonly #mark = `FLOTILLA_TEST_MARK=${randomUUID()}`;
  #output = "";
  #ended = false;

  constructor(checkout: Checkout, { args = ["--port", "0"], env, stateFolder }: NpmStartOptions = {}) {
    const { folder, owner } = checkout;
    this.#stateFolder = stateFolder ?? join(folder, ".flotilla");
    const [markName = "", mark] = this.#mark.split("=");
    this.#checkout = checkout;
    this.#child = spawn("npm", ["start", "--", ...args], {
      cwd: folder,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        HOME: owner ? folder : process.env["HOME"],
        NO_COLOR: "1",
        [markName]: mark,
        ...env,
      },
      ...(owner && { uid: owner.uid, gid: owner.gid }),
    });
    this.pid = this.#child.pid ?? 0;
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on("data", (chunk: Buffer) => (this.#output += chunk.toString()));
    }
    this.exited = new Promise((resolve) => this.#child.on("close", (code, signal) => resolve(code ?? signal)));
    void this.exited.then(() => (this.#ended = true));
  }

  get output(): string {
    return this.#output;
  }

  /** Waits until everything is up. */
  async ready(): Promise<DevNotes> {
    const up = (): boolean => this.#output.includes(BANNER);
    await eventually(() => up() || this.#ended, { timeoutMs: START_TIMEOUT_MS, what: "npm start" }).catch(() => {});
    const notes = this.notes();
    if (!up() || !notes) throw new Error(`npm start did not come up:\n${this.#output}`);
    return notes;
  }

  notes(): DevNotes | undefined {
    return readDevNotes(join(this.#stateFolder, "dev.json"));
  }

  /** Ctrl-C in a terminal: SIGINT to npm, its shell and the launcher at once. */
  pressCtrlC(): void {
    process.kill(-this.pid, "SIGINT");
  }

  /** Everything that belongs to this start and still runs: "pid command line". */
  processes(): string[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => ({ pid, environment: read(pid, "environ"), command: read(pid, "cmdline") }))
      .filter(({ environment, command }) => this.#isOurs(environment, command))
      .map(({ pid, command }) => `${pid} ${command.replaceAll("\0", " ").trim()}`);
  }

  /** Postgres gets a clean environment; its command line names the data. */
  #isOurs(environment: string, command: string): boolean {
    const data = this.postgresHome();
    return environment.includes(this.#mark) || (data !== undefined && command.includes(data));
  }

  /** Where the data of Postgres is: below the checkout, or elsewhere when its user cannot go there. */
  postgresHome(): string | undefined {
    const path = /postgres +18\S* +127\.0\.0\.1:\d+ +(\S.*)\/postgres-\d+/.exec(this.#output)?.[1];
    return path?.startsWith("/") ? path : path && join(this.#checkout.folder, path);
  }

  /** The way out of a test, whatever state it is in. */
  async cleanUp(): Promise<void> {
    if (!this.#ended) process.kill(-this.pid, "SIGTERM");
    await this.exited;
    const home = this.postgresHome();
    if (home?.startsWith("/var/lib/flotilla/")) rmSync(home, { recursive: true, force: true });
  }
}

/** Empty when the process is gone, or only its remains are left. */
function read(pid: string, file: "environ" | "cmdline"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
