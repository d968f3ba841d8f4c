import { setTimeout as delay } from "node:timers/promises";
import { LeaseLost } from "../../errors.ts";
import { isAway, isConnectionFailure, isRetryable } from "../../postgres/pg-error.ts";
import type { Pool } from "../../postgres/pool.ts";
import { writeGroup, type CheckpointRows, type Fence } from "./checkpoint-queries.ts";

interface Operation {
  fence: Fence;
  rows: CheckpointRows;
  /** Aborted when the attempt is over for this worker; waiting for Postgres to come back ends then. */
  signal: AbortSignal;
  resolve(): void;
  reject(error: unknown): void;
}

export interface GroupWriterOptions {
  pool: Pool;
  /** Statements under way at once. */
  lanes?: number;
  /** Rows' bytes after which a group is closed; a statement's parameters have a limit and its memory a price. */
  maxGroupBytes?: number;
  onWritten?(seconds: number, runs: number): void;
  onFenced?(runId: string): void;
  /** Test hook around each statement. */
  failpoint?(name: "before_checkpoint" | "after_checkpoint"): Promise<void>;
}

/**
 * Writes checkpoints of all runs of a process: what arrives in the same turn of the event loop goes in one statement, in
 * which each run is fenced on its own (`for key share` on its row, with its attempt). A promise resolves only after its rows
 * are committed; a lost lease rejects that run's promises and no others.
 *
 * A run's writes keep their order and never sit in two statements at once. Nothing is held back: a finished sibling's writes
 * go out while the others still run.
 *
 * A group that fails for a reason in its data is repeated run by run, so that one bad row harms its own run only. While
 * Postgres is away, writes wait for it until their attempt is over: all of them may be repeated, the rows are the same.
 */
export class GroupWriter {
  readonly #options: Required<Pick<GroupWriterOptions, "lanes" | "maxGroupBytes">> & GroupWriterOptions;
  #queue: Operation[] = [];
  readonly #busyRuns = new Set<string>();
  #flushWaiters: (() => void)[] = [];
  #lanesInUse = 0;
  #scheduled = false;

  constructor(options: GroupWriterOptions) {
    this.#options = { lanes: 2, maxGroupBytes: 8 * 1024 * 1024, ...options };
  }

  /** Resolves when nothing of the run is waiting or under way. */
  async drained(runId: string): Promise<void> {
    const busy = () => this.#busyRuns.has(runId) || this.#queue.some((operation) => operation.fence.runId === runId);
    while (busy()) await new Promise<void>((resolve) => this.#flushWaiters.push(resolve));
  }

  /** @throws LeaseLost when the attempt is not the run's any more. */
  write(fence: Fence, rows: CheckpointRows, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ fence, rows, signal, resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#lanesInUse >= this.#options.lanes || this.#queue.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const group = this.#takeGroup();
      if (group.length === 0) return; // all that waits belongs to runs with a statement under way
      void this.#flush(group);
      this.#schedule();
    });
  }

  /** The oldest operations of runs that have no statement under way, up to the size limit, in order of arrival. */
  #takeGroup(): Operation[] {
    const group: Operation[] = [];
    const left: Operation[] = [];
    const skipped = new Set<string>();
    const attempts = new Map<string, number>();
    let bytes = 0;
    for (const operation of this.#queue) {
      const { runId, attempt } = operation.fence;
      const full = group.length > 0 && bytes + operation.rows.bytes > this.#options.maxGroupBytes;
      const otherAttempt = (attempts.get(runId) ?? attempt) !== attempt; // a statement fences a run by one attempt
      if (full || otherAttempt || this.#busyRuns.has(runId) || skipped.has(runId)) {
        left.push(operation);
        skipped.add(runId); // what follows of this run must not overtake
      } else {
        group.push(operation);
        attempts.set(runId, attempt);
        bytes += operation.rows.bytes;
      }
    }
    this.#queue = left;
    for (const { fence } of group) this.#busyRuns.add(fence.runId);
    return group;
  }

  async #flush(group: Operation[]): Promise<void> {
    for (const { rows } of group) rows.onTaken?.();
    this.#lanesInUse++;
    const passedOver = await this.#writeGroup(group, false);
    this.#lanesInUse--;
    this.#release(group.filter((operation) => !passedOver.includes(operation)));
    for (const one of byRun(passedOver)) void this.#writeGroup(one, true).then(() => this.#release(one));
  }

  #release(group: Operation[]): void {
    for (const { fence } of group) this.#busyRuns.delete(fence.runId);
    for (const resolve of this.#flushWaiters.splice(0)) resolve();
    this.#schedule();
  }

  /**
   * Writes a group, whatever it takes; every promise is settled but those of the runs that were passed over.
   * @param waits for rows that are locked, of the one run of the group.
   */
  async #writeGroup(group: Operation[], waits: boolean): Promise<Operation[]> {
    for (let attempt = 0; ; attempt++) {
      const live = group.filter((operation) => !rejectIfOver(operation));
      if (live.length === 0) return [];
      try {
        return await this.#execute(live, waits);
      } catch (error) {
        const again = isAway(error) || ((isConnectionFailure(error) || isRetryable(error)) && attempt < MOST_REPEATS);
        if (again) {
          await delay(Math.min(20 * 2 ** attempt, 1_000) * (0.5 + Math.random()));
          continue;
        }
        const runs = byRun(live);
        if (runs.length > 1) return (await Promise.all(runs.map((one) => this.#writeGroup(one, waits)))).flat();
        for (const operation of live) operation.reject(error);
        return [];
      }
    }
  }

  /** @returns the operations of runs that were passed over because their row was locked, or that are not held any more. */
  async #execute(group: Operation[], waits: boolean): Promise<Operation[]> {
    await this.#options.failpoint?.("before_checkpoint");
    const started = performance.now();
    const { rows } = await this.#options.pool.query<{ run_id: string }>(writeGroup(group, waits));
    await this.#options.failpoint?.("after_checkpoint");
    const held = new Set(rows.map((row) => row.run_id));
    this.#options.onWritten?.((performance.now() - started) / 1000, held.size);
    const [stored, others] = [true, false].map((is) => group.filter(({ fence }) => held.has(fence.runId) === is)) as [
      Operation[],
      Operation[],
    ];
    for (const { resolve } of stored) resolve();
    if (!waits) return others;
    for (const { fence, reject } of others) {
      this.#options.onFenced?.(fence.runId);
      reject(new LeaseLost(fence.runId));
    }
    return [];
  }
}

/** How often a statement is repeated that Postgres answers, but never lets through: a lock or a time limit. */
const MOST_REPEATS = 12;

function byRun(operations: Operation[]): Operation[][] {
  const runs = new Map<string, Operation[]>();
  for (const operation of operations) {
    const one = runs.get(operation.fence.runId) ?? [];
    runs.set(operation.fence.runId, one);
    one.push(operation);
  }
  return [...runs.values()];
}

function rejectIfOver(operation: Operation): boolean {
  if (!operation.signal.aborted || !(operation.signal.reason instanceof LeaseLost)) return false;
  operation.reject(operation.signal.reason);
  return true;
}
