import { setMaxListeners } from "node:events";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { LeaseLost, RunCancelled } from "@flotilla/shared/errors";
import type { Stoppable } from "@flotilla/shared/process/lifecycle";
import type { Logger } from "@flotilla/shared/process/logger";
import type { CancelAction } from "@flotilla/shared/runs/run";
import { HeldRuns, type HeldRun } from "./held-runs.ts";

/**
 * Leases of the runs that this worker holds.
 *
 *   main thread                                  lease thread (lease-thread.ts)
 *   hold(run) ────────── shared memory ─────────►  every 2 s: one UPDATE renews all of them
 *   signal aborts ◄──── lost, cancelled ────────  (Postgres' clock; a connection of its own)
 *   beat, 4 × a second ─ shared memory ─────────►  stops renewing when the beat is older than the loop limit, 60 s
 *   "renewed at" ◄────── shared memory ──────────
 *
 * The thread keeps the leases of a worker whose main loop computes for 20 s. It does not keep those of one that hangs.
 * Renewed or not, the database decides: every write carries the attempt. What this file adds is that a worker that cannot
 * renew stops its runs before somebody else may start them: after two thirds of the lease without a renewal their signals
 * abort with LeaseLost.
 */
export interface LeaseOptions {
  databaseUrl: string;
  leaseSeconds: number;
  /** Most runs held at once. */
  capacity: number;
  /** The main loop may be blocked for this long before its runs are given up. */
  loopLimitSeconds: number;
  logger: Logger;
}

/** What the lease thread is started with. */
export interface LeaseThreadData {
  databaseUrl: string;
  leaseSeconds: number;
  capacity: number;
  loopLimitSeconds: number;
  shared: SharedArrayBuffer;
}
export type ToLeaseThread = "renew" | "stop";
export type FromLeaseThread =
  { type: "ready" } | { type: "renewed"; lost: HeldRun[]; cancelled: (HeldRun & { action: CancelAction })[] };

/** The shared memory: two clocks, monotonic time in ns, then the held runs. */
export const BEAT = 0;
export const RENEWED = 1;
export const CLOCK_BYTES = 16;

/** A run that this worker holds. The signal's reason says why it must stop. */
export interface Lease extends AsyncDisposable {
  readonly signal: AbortSignal;
  abort(reason: Error): void;
}

const RESTART_MS = 250;

interface Held {
  run: HeldRun;
  /** Monotonic time in ns. */
  claimStartedAt: bigint;
  heldSince: bigint;
  controller: AbortController;
}

export class Leases implements Stoppable {
  readonly #data: LeaseThreadData;
  #thread: Worker;
  #stopping = false;
  readonly #clocks: BigInt64Array;
  readonly #heldRuns: HeldRuns;
  readonly #held = new Map<string, Held>();
  readonly #options: LeaseOptions;
  readonly #beat: NodeJS.Timeout;
  #onReady: () => void = () => {};
  /**
   * Resolves when the thread renews. To be awaited before the first claim: on a busy machine a thread may take longer to start
   * than a lease lasts.
   */
  readonly ready = new Promise<void>((resolve) => (this.#onReady = resolve));

  constructor(options: LeaseOptions) {
    this.#options = options;
    const { databaseUrl, leaseSeconds, capacity, loopLimitSeconds } = options;
    const shared = new SharedArrayBuffer(CLOCK_BYTES + HeldRuns.bytesFor(capacity));
    this.#clocks = new BigInt64Array(shared, 0, 2);
    this.#heldRuns = new HeldRuns(shared, CLOCK_BYTES, capacity);
    Atomics.store(this.#clocks, BEAT, process.hrtime.bigint());
    this.#data = { databaseUrl, leaseSeconds, capacity, loopLimitSeconds, shared };
    this.#thread = this.#startThread();
    this.#beat = setInterval(() => this.#tick(), 250).unref();
  }

  /** A thread that dies is started again: the runs are in the shared memory, and a lease outlives a second. */
  #startThread(): Worker {
    const thread = new Worker(new URL(`./lease-thread${extname(import.meta.url)}`, import.meta.url), {
      workerData: this.#data,
      name: "leases",
    });
    thread.on("message", (message: FromLeaseThread) =>
      message.type === "ready" ? this.#onReady() : this.#onRenewed(message),
    );
    thread.on("error", (error) => this.#options.logger.error({ err: error }, "the lease thread failed"));
    thread.once("exit", () => {
      if (!this.#stopping) setTimeout(() => this.#stopping || (this.#thread = this.#startThread()), RESTART_MS).unref();
    });
    return thread;
  }

  /**
   * Keeps the lease of a run that was just claimed.
   * @param claimStartedAt monotonic time in ns from before the claim was sent: the lease cannot be older.
   */
  hold(run: HeldRun, claimStartedAt: bigint): Lease {
    const key = keyOf(run);
    const controller = new AbortController();
    setMaxListeners(0, controller.signal); // every task of a wide step listens to it
    const slot = this.#heldRuns.add(run);
    this.#held.set(key, { run, claimStartedAt, heldSince: process.hrtime.bigint(), controller });
    return {
      signal: controller.signal,
      abort: (reason) => controller.abort(reason),
      [Symbol.asyncDispose]: async () => {
        this.#held.delete(key);
        this.#heldRuns.remove(slot);
      },
    };
  }

  /** Renews at once, to learn of a cancel without waiting for the next turn. */
  renewNow(runId: string): void {
    for (const { run } of this.#held.values()) if (run.runId === runId) return this.#send("renew");
  }

  async stop(): Promise<void> {
    clearInterval(this.#beat);
    this.#stopping = true;
    const exited = new Promise((resolve) => this.#thread.once("exit", resolve));
    if (this.#thread.threadId === -1) return; // it is dead already
    this.#send("stop");
    await exited;
  }

  #send(message: ToLeaseThread): void {
    this.#thread.postMessage(message);
  }

  #tick(): void {
    const now = process.hrtime.bigint();
    Atomics.store(this.#clocks, BEAT, now);
    const renewed = Atomics.load(this.#clocks, RENEWED);
    const limit = BigInt(Math.round((this.#options.leaseSeconds * 1e9 * 2) / 3));
    for (const { run, claimStartedAt, heldSince, controller } of this.#held.values()) {
      const safeSince = renewed > heldSince ? renewed : claimStartedAt; // a renewal begun before did not know of the run
      if (now - safeSince > limit && !controller.signal.aborted) {
        controller.abort(new LeaseLost(run.runId, "Postgres could not be reached to renew it"));
      }
    }
  }

  #onRenewed({ lost, cancelled }: Extract<FromLeaseThread, { type: "renewed" }>): void {
    for (const run of lost) this.#held.get(keyOf(run))?.controller.abort(new LeaseLost(run.runId));
    for (const run of cancelled) this.#held.get(keyOf(run))?.controller.abort(new RunCancelled(run.action));
  }
}

function keyOf(run: HeldRun): string {
  return `${run.runId} ${run.attempt}`;
}
