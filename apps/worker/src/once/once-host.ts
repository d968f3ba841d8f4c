import { setHost, type OnceCall, type OnceHost, type TaskConfig } from "@flotilla/once/host";
import { OnceRefused } from "@flotilla/shared/errors";
import type { OnceOfRun } from "./once-of-run.ts";
import { taskOf } from "./task.ts";

/**
 * Leads each `once` of the process to the attempt in whose node it was called. By the run's id in the node's config, not by the
 * async context: work that is shared between runs (a pool, a batch) may continue in the context of another one.
 */
export class WorkerOnceHost implements OnceHost {
  readonly #open = new Map<string, OnceOfRun>();

  install(): void {
    setHost(this);
  }

  /** Until it is disposed of, calls of the run go to `once`. What calls later is code that did not heed its signal. */
  open(runId: string, once: OnceOfRun): Disposable {
    this.#open.set(runId, once);
    return {
      [Symbol.dispose]: () => {
        if (this.#open.get(runId) === once) this.#open.delete(runId);
      },
    };
  }

  async once(key: string, fn: (call: OnceCall) => unknown, config: TaskConfig | undefined): Promise<unknown> {
    const task = taskOf(config);
    const once = this.#open.get(task.runId);
    if (once === undefined) throw new OnceRefused(`once("${key}") was called after its run had stopped on this worker`);
    return once.call(task, key, fn, config);
  }
}
