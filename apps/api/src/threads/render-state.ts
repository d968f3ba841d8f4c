import type { StateSnapshot } from "@langchain/langgraph";
import { toWire } from "@flotilla/shared/protocol/wire-value";

/** A thread's state on the wire, AGENT_SERVER_API section 2. */
export interface ThreadState {
  values: unknown;
  next: string[];
  tasks: unknown[];
  interrupts: { id?: string; value: unknown }[];
  metadata: Record<string, unknown> | null;
  created_at: string | null;
  checkpoint: CheckpointAddress | null;
  parent_checkpoint: CheckpointAddress | null;
  /** The two addresses once more, as LangGraph's own snapshots have them. */
  config: CheckpointConfig | null;
  parent_config: CheckpointConfig | null;
}

export interface CheckpointAddress {
  thread_id: string;
  checkpoint_ns: string;
  checkpoint_id: string;
  checkpoint_map: unknown;
}

/** Nothing else of a config is shown: what graphs put into `configurable` may be secret. */
interface CheckpointConfig {
  configurable: Pick<CheckpointAddress, "thread_id" | "checkpoint_ns" | "checkpoint_id">;
}

/** Of a thread that nothing has run on: clients look at `checkpoint`. */
export const EMPTY_STATE: ThreadState = {
  values: {},
  next: [],
  tasks: [],
  interrupts: [],
  metadata: null,
  created_at: null,
  checkpoint: null,
  parent_checkpoint: null,
  config: null,
  parent_config: null,
};

type Config = StateSnapshot["config"] | undefined;
type Task = StateSnapshot["tasks"][number];

export function toThreadState(snapshot: StateSnapshot): ThreadState {
  const stored = snapshot.createdAt !== undefined;
  const checkpoint = stored ? toCheckpoint(snapshot.config) : null;
  const parent = toCheckpoint(snapshot.parentConfig);
  return {
    values: toWire(snapshot.values),
    next: [...snapshot.next],
    tasks: snapshot.tasks.map(toTask),
    interrupts: Object.values(interruptsByTask(snapshot)).flat() as ThreadState["interrupts"],
    metadata: stored ? ((toWire(snapshot.metadata) as Record<string, unknown> | undefined) ?? {}) : null,
    created_at: snapshot.createdAt ?? null,
    checkpoint,
    parent_checkpoint: parent,
    config: toConfig(checkpoint),
    parent_config: toConfig(parent),
  };
}

/** Task id → its questions, only tasks that wait for an answer. */
export function interruptsByTask(snapshot: StateSnapshot): Record<string, unknown[]> {
  const open = snapshot.tasks.filter((task) => task.interrupts.length > 0 && task.result === undefined);
  return Object.fromEntries(open.map((task) => [task.id, task.interrupts.map((interrupt) => toWire(interrupt))]));
}

function toTask(task: Task): unknown {
  const state = task.state as StateSnapshot | Config;
  const isSnapshot = state !== undefined && "values" in state;
  return {
    id: task.id,
    name: task.name,
    path: task.path ?? [],
    error: task.error === undefined ? null : errorText(task.error),
    interrupts: task.interrupts.map((interrupt) => toWire(interrupt)),
    checkpoint: state === undefined || isSnapshot ? null : subgraphAddress(state as NonNullable<Config>),
    state: isSnapshot ? toThreadState(state as StateSnapshot) : null,
    result: task.result === undefined ? null : toWire(task.result),
  };
}

function errorText(error: unknown): string {
  if (typeof error === "object" && error !== null && "message" in error) return String(error.message);
  return typeof error === "string" ? error : JSON.stringify(error);
}

function subgraphAddress(config: NonNullable<Config>): unknown {
  const { thread_id, checkpoint_ns } = config.configurable ?? {};
  return { thread_id, checkpoint_ns };
}

function toConfig(checkpoint: CheckpointAddress | null): CheckpointConfig | null {
  if (checkpoint === null) return null;
  const { checkpoint_map: _map, ...configurable } = checkpoint;
  return { configurable };
}

export function toCheckpoint(config: Config): CheckpointAddress | null {
  const configurable = (config?.configurable ?? {}) as Record<string, unknown>;
  const id = configurable["checkpoint_id"];
  if (typeof id !== "string") return null;
  return {
    thread_id: String(configurable["thread_id"]),
    checkpoint_ns: String(configurable["checkpoint_ns"] ?? ""),
    checkpoint_id: id,
    checkpoint_map: configurable["checkpoint_map"] ?? null,
  };
}
