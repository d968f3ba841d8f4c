import { uuidOf, type TaskConfig } from "@flotilla/once/host";
import { OnceRefused } from "@flotilla/shared/errors";

/** The task of a graph in which `once` was called, by what LangGraph 1.7 says in a node's config. */
export interface Task {
  runId: string;
  /**
   * LangGraph derives it from the checkpoint's id, the namespace (with the ids of the tasks around it), the step, the node and
   * the place among the sends: the same task has the same id whenever it runs again on that checkpoint.
   */
  taskId: string;
  /** The checkpoints that the id hangs on: of the graph, and of each subgraph around the task. */
  checkpointIds: string[];
  /** Where a node of the root graph stands in its run: step, node and place among the sends. Undefined in a subgraph. */
  place: string | undefined;
}

/** @throws OnceRefused where the config is not that of a task of a run. */
export function taskOf(config: TaskConfig | undefined): Task {
  const {
    run_id: runId,
    checkpoint_ns: ns,
    checkpoint_map: map,
    __pregel_task_id: taskId,
  } = config?.configurable ?? {};
  if (typeof runId !== "string" || typeof ns !== "string" || typeof taskId !== "string" || !isMap(map)) {
    throw new OnceRefused(
      "once() was called outside of a node, or where the async context of the node is lost. Call it in a node or in a tool, " +
        "and give it the node's config as its third argument where it cannot find it by itself",
    );
  }
  const around = Object.entries(map).filter(([outer]) => outer === "" || ns.startsWith(`${outer}|`));
  return { runId, taskId, checkpointIds: around.map(([, id]) => id), place: placeOf(ns, config?.metadata) };
}

function placeOf(ns: string, metadata: Record<string, unknown> = {}): string | undefined {
  const { langgraph_step: step, langgraph_node: node, langgraph_path: path } = metadata;
  const isRoot = !ns.includes("|");
  return isRoot && typeof step === "number" ? JSON.stringify([step, node, path]) : undefined;
}

function isMap(value: unknown): value is Record<string, string> {
  return typeof value === "object" && value !== null && Object.values(value).every((id) => typeof id === "string");
}

/** The idempotency key of a call in a task that stands on stored checkpoints: the same for every run that comes back to it. */
export function keyOfTask(tenantId: string, threadId: string, taskId: string, key: string): string {
  return uuidOf([tenantId, threadId, taskId, key]);
}

/** The idempotency key of a call at a place of a run that stores no checkpoints: the same for every attempt of the run. */
export function keyOfPlace(tenantId: string, threadId: string, runId: string, place: string, key: string): string {
  return uuidOf([tenantId, threadId, "exit", runId, place, key]);
}
