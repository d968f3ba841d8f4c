import { randomUUID } from "node:crypto";
import { assertOnceKey, findHost, uuidOf, type OnceCall, type TaskConfig } from "./host.ts";

export type { OnceCall, TaskConfig } from "./host.ts";

/**
 * Calls `fn` and stores its result; when the same task of the graph runs again, it gets the stored result and `fn` is not
 * called. A task is one execution of a node at one checkpoint of one thread: a node that runs again because its worker died,
 * because it was retried, or because somebody answered its `interrupt()` is the same task; the next super-step is another.
 *
 * Between the effect and the stored result there is a moment in which a crash has `fn` called again. It gets the same
 * `idempotencyKey` then: pass it on.
 *
 * A `fn` that throws stores nothing. Calls with the same key at the same time share one call of `fn`. The result is what
 * JSON keeps of it, on the first call too; 1 MiB at most.
 *
 * Where there is no Flotilla (a notebook, a unit test, another server) it calls `fn` and stores nothing.
 *
 * @param key what the effect is, unique within the task: 1 to 255 characters
 * @param config the node's config, only needed where its async context is lost
 * @throws TypeError for a key that is none; whatever `fn` throws; an error when the result cannot be stored
 */
export async function once<T>(key: string, fn: (call: OnceCall) => T | Promise<T>, config?: TaskConfig): Promise<T> {
  assertOnceKey(key);
  const ofTask = config ?? currentConfig();
  const host = findHost();
  if (host !== undefined) return (await host.once(key, fn, ofTask)) as T;
  return fn({ idempotencyKey: keyElsewhere(key, ofTask), signal: ofTask?.signal ?? new AbortController().signal });
}

/** The config that LangChain keeps for the code of a node, whichever copy of LangChain the graph uses. */
function currentConfig(): TaskConfig | undefined {
  const storage = (globalThis as Record<symbol, unknown>)[Symbol.for("ls:tracing_async_local_storage")] as
    { getStore(): { extra?: Record<symbol, unknown> } | undefined } | undefined;
  return storage?.getStore()?.extra?.[Symbol.for("lc:child_config")] as TaskConfig | undefined;
}

/** As stable as the task's id is there; in no task at all, a new one for each call: nothing ties two calls together. */
function keyElsewhere(key: string, config: TaskConfig | undefined): string {
  const taskId = config?.configurable?.["__pregel_task_id"];
  if (typeof taskId !== "string") return randomUUID();
  return uuidOf(["elsewhere", config?.configurable?.["thread_id"], taskId, key]);
}
