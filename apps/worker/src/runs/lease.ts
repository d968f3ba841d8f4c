import { setMaxListeners } from "node:events";
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import { LeaseLost, RunCancelled } from "@flotilla/shared/errors";
import type { Stoppable } from "@flotilla/shared/process/lifecycle";
import type { Logger } from "@flotilla/shared/process/logger";
import type { CancelAction } from "@flotilla/shared/runs/run";

/**
 * Leases of the runs that this worker holds.
 *
 *   main thread                                  lease thread (lease-thread.ts)
 *   hold(run) ───────── add ───────────────────►  every 2 s: one UPDATE renews all of them
 *   signal aborts ◄──── lost, cancelled ────────  (Postgres' clock; a connection of its own)
 *   beat, 4 × a second ─ shared memory ─────────►  stops renewing when the beat is older than 60 s
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
  logger: Logger;
}

/** What the lease thread is started with. */
export interface LeaseThreadData {
  databaseUrl: string;
  leaseSeconds: number;
  shared: SharedArrayBuffer;
}
export interface HeldRun {
  runId: string;
  attempt: number;
}
export type ToLeaseThread = { type: "add" | "remove"; run: HeldRun } | { type: "renew" } | { type: "stop" };
export type FromLeaseThread = { type: "renewed"; lost: HeldRun[]; cancelled: (HeldRun & { action: CancelAction })[] };

/** Slots of the shared memory; monotonic time in ns. */
export const BEAT = 0;
export const RENEWED = 1;

/** A run that this worker holds. The signal's reason says why it must stop. */
export interface Lease extends AsyncDisposable {
  readonly signal: AbortSignal;
  abort(reason: Error): void;
}

export class Leases implements Stoppable {
  readonly #thread: Worker;
  readonly #shared: BigInt64Array;
  readonly #held = new Map<string, { run: HeldRun; since: bigint; controller: AbortController }>();
  readonly #options: LeaseOptions;
  readonly #beat: NodeJS.Timeout;
  #exited: Promise<void>;

  constructor(options: LeaseOptions) {
    this.#options = options;
    const shared = new SharedArrayBuffer(16);
    this.#shared = new BigInt64Array(shared);
    Atomics.store(this.#shared, BEAT, process.hrtime.bigint());
    const workerData: LeaseThreadData = {
      databaseUrl: options.databaseUrl,
      leaseSeconds: options.leaseSeconds,
      shared,
    };
    this.#thread = new Worker(new URL(`./lease-thread${extname(import.meta.url)}`, import.meta.url), {
      workerData,
      name: "leases",
    });
    this.#thread.on("message", (message: FromLeaseThread) => this.#onRenewed(message));
    this.#thread.on("error", (error) => options.logger.error({ err: error }, "the lease thread failed"));
    this.#exited = new Promise((resolve) => this.#thread.once("exit", () => resolve()));
    this.#beat = setInterval(() => this.#tick(), 250).unref();
  }

  /**
   * Keeps the lease of a run that was just claimed.
   * @param claimStartedAt monotonic time in ns from before the claim was sent: the lease cannot be older.
   */
  hold(run: HeldRun, claimStartedAt: bigint): Lease {
    const key = keyOf(run);
    const controller = new AbortController();
    setMaxListeners(0, controller.signal); // every task of a wide step listens to it
    this.#held.set(key, { run, since: claimStartedAt, controller });
    this.#send({ type: "add", run });
    return {
      signal: controller.signal,
      abort: (reason) => controller.abort(reason),
      [Symbol.asyncDispose]: async () => {
        this.#held.delete(key);
        this.#send({ type: "remove", run });
      },
    };
  }

  /** Renews at once, to learn of a cancel without waiting for the next turn. */
  renewNow(runId: string): void {
    for (const { run } of this.#held.values()) if (run.runId === runId) return this.#send({ type: "renew" });
  }

  async stop(): Promise<void> {
    clearInterval(this.#beat);
    this.#send({ type: "stop" });
    await this.#exited;
  }

  #send(message: ToLeaseThread): void {
    this.#thread.postMessage(message);
  }

  #tick(): void {
    const now = process.hrtime.bigint();
    Atomics.store(this.#shared, BEAT, now);
    const renewed = Atomics.load(this.#shared, RENEWED);
    const limit = BigInt(Math.round((this.#options.leaseSeconds * 1e9 * 2) / 3));
    for (const { run, since, controller } of this.#held.values()) {
      const safeSince = renewed > since ? renewed : since;
      if (now - safeSince > limit && !controller.signal.aborted) {
        controller.abort(new LeaseLost(run.runId, "Postgres could not be reached to renew it"));
      }
    }
  }

  #onRenewed({ lost, cancelled }: FromLeaseThread): void {
    for (const run of lost) this.#held.get(keyOf(run))?.controller.abort(new LeaseLost(run.runId));
    for (const run of cancelled) this.#held.get(keyOf(run))?.controller.abort(new RunCancelled(run.action));
  }
}

function keyOf(run: HeldRun): string {
  return `${run.runId} ${run.attempt}`;
}
