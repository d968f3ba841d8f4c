import { assertOnceKey, type OnceCall, type TaskConfig } from "@flotilla/once/host";
import { LeaseLost, messageOf, OnceRefused } from "@flotilla/shared/errors";
import { dumps, loads } from "@flotilla/shared/graphs/checkpoints/safe-serde";
import { whileAway } from "@flotilla/shared/postgres/transaction";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Failpoint } from "@flotilla/shared/process/failpoints";
import {
  findOnceRecord,
  forgetOnceRecords,
  storeOnceRecord,
  type OnceAddress,
  type OnceHolder,
  type OnceLookup,
} from "@flotilla/shared/runs/once-queries";
import type { ClaimedRun, Durability } from "@flotilla/shared/runs/run";
import { keyOfPlace, keyOfTask, type Task } from "./task.ts";

/** Largest result, in bytes of its JSON. */
const MAX_RESULT_BYTES = 1024 * 1024;

export interface OnceOfRunOptions {
  pool: Pool;
  run: Pick<ClaimedRun, "run_id" | "tenant_id" | "thread_id" | "attempt">;
  durability: Durability;
  /** Aborted when the attempt is over for this worker. */
  signal: AbortSignal;
  /** Whether a checkpoint is in Postgres, once it had the time to get there. */
  isStored(checkpointId: string): Promise<boolean>;
  failpoint: Failpoint;
}

/**
 * `once` for one attempt of a run:
 *
 *   look up ──► stored? give it back
 *      │ fenced: who has lost the run does not begin
 *      ▼
 *     fn ──► before_once ──► store ──► after_once ──► give it back
 *      │                      fenced, in the statement that stores; the first result stays
 *      └─ a death up to the commit has fn called again, with the same idempotency key
 *
 * That key is worth something only if a repeat comes to the same one. It hangs on checkpoint ids, so `fn` waits until those are
 * in Postgres: of a checkpoint that died with its worker, nothing would be left to derive the key from.
 */
export class OnceOfRun {
  readonly #options: OnceOfRunOptions;
  readonly #holder: OnceHolder;
  /** Calls under way, by idempotency key: two at the same time are one. */
  readonly #underWay = new Map<string, Promise<string>>();
  #isUsed = false;

  constructor(options: OnceOfRunOptions) {
    const { run } = options;
    this.#options = options;
    this.#holder = { tenantId: run.tenant_id, runId: run.run_id, attempt: run.attempt };
  }

  /** @throws OnceRefused; LeaseLost; whatever `fn` throws. */
  async call(
    task: Task,
    key: string,
    fn: (call: OnceCall) => unknown,
    config: TaskConfig | undefined,
  ): Promise<unknown> {
    assertOnceKey(key); // again: the caller's copy of the package may be of any version
    this.#isUsed = true;
    const address = await this.#addressOf(task, key);
    const [idempotencyKey] = address.idempotencyKeys;
    let result = this.#underWay.get(idempotencyKey);
    if (result === undefined) {
      const signal = config?.signal ?? this.#options.signal;
      result = this.#perform(address, () => fn({ idempotencyKey, signal })).finally(() =>
        this.#underWay.delete(idempotencyKey),
      );
      this.#underWay.set(idempotencyKey, result);
    }
    return loads(await result); // a value of its own for each caller, and on a repeat the same as at first
  }

  /** Removes what the thread's tasks have kept, after a run that brought the thread to its end. */
  async forget(): Promise<void> {
    if (this.#isUsed) await forgetOnceRecords(this.#options.pool, this.#holder.tenantId, this.#holder.runId);
  }

  async #perform(address: OnceAddress, effect: () => unknown): Promise<string> {
    const { pool, signal, failpoint } = this.#options;
    signal.throwIfAborted();
    const found = await whileAway(() => findOnceRecord(pool, this.#holder, address), signal);
    if (found.state !== "absent") return this.#resultOf(found);
    signal.throwIfAborted();
    const result = resultText(address.key, await effect());
    // Whatever happens to the run meanwhile, the effect is there: it is noted as long as the run may still be this worker's.
    await failpoint("before_once");
    const stored = await whileAway(() => storeOnceRecord(pool, this.#holder, address, result), signal);
    await failpoint("after_once");
    return this.#resultOf(stored);
  }

  #resultOf(lookup: OnceLookup): string {
    if (lookup.state === "stored") return lookup.result;
    throw new LeaseLost(this.#holder.runId);
  }

  /**
   * With durability `exit` nothing that a task stands on is stored before the end, and a repeat starts from the input: there a
   * node of the root graph is told by its place in the run. Its task's id counts as well, once the run has stopped at a question
   * and stored its checkpoint: the run that answers finds the result by that.
   */
  async #addressOf({ taskId, checkpointIds, place }: Task, key: string): Promise<OnceAddress> {
    const { run, durability } = this.#options;
    const ofTask = keyOfTask(run.tenant_id, run.thread_id, taskId, key);
    if (durability === "exit" && place !== undefined) {
      const ofPlace = keyOfPlace(run.tenant_id, run.thread_id, run.run_id, place, key);
      return { taskId, key, idempotencyKeys: [ofPlace, ofTask] };
    }
    for (const checkpointId of checkpointIds) {
      if (await this.#options.isStored(checkpointId)) continue;
      this.#options.signal.throwIfAborted();
      throw new OnceRefused(
        `once("${key}") was called in a subgraph whose checkpoints are not stored, so that a repeat could not be told from ` +
          `another execution. ${durability === "exit" ? 'Run it with durability "sync" or "async"' : "Compile it without a checkpointer of its own"}, or call once() in a node of the root graph`,
      );
    }
    return { taskId, key, idempotencyKeys: [ofTask] };
  }
}

function resultText(key: string, result: unknown): string {
  let text: string;
  try {
    text = dumps(result);
  } catch (error) {
    throw new OnceRefused(`The result of once("${key}") is no JSON and was not stored: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_RESULT_BYTES) return text;
  throw new OnceRefused(
    `The result of once("${key}") has ${bytes} bytes and was not stored: at most ${MAX_RESULT_BYTES} are. Return what the graph ` +
      "needs of it, an id for instance",
  );
}
