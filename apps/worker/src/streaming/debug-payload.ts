/**
 * Debug, task and checkpoint payloads without what is internal: `configurable` keys that start with `__`, callbacks and
 * credentials; a subgraph task's `state` that is only a config becomes its `checkpoint`. AGENT_SERVER_API section 7.3.
 */
export function cleanDebugPayload(mode: string, payload: unknown): unknown {
  if (typeof payload !== "object" || payload === null) return payload;
  if (mode === "debug") {
    const event = payload as { type?: string; payload?: unknown };
    return { ...event, payload: event.type === "checkpoint" ? cleanCheckpoint(event.payload) : event.payload };
  }
  return mode === "checkpoints" ? cleanCheckpoint(payload) : payload;
}

function cleanCheckpoint(payload: unknown): unknown {
  if (typeof payload !== "object" || payload === null) return payload;
  const { config, parentConfig, tasks, ...rest } = payload as Record<string, unknown>;
  return {
    ...rest,
    config: cleanConfig(config),
    parent_config: cleanConfig(parentConfig) ?? null,
    checkpoint: checkpointOf(config),
    parent_checkpoint: checkpointOf(parentConfig),
    ...(Array.isArray(tasks) ? { tasks: tasks.map(cleanTask) } : {}),
  };
}

function cleanTask(task: unknown): unknown {
  if (typeof task !== "object" || task === null || !("state" in task)) return task;
  const { state, ...rest } = task;
  const isConfig = typeof state === "object" && state !== null && "configurable" in state;
  return isConfig ? { ...rest, checkpoint: checkpointOf(state) } : task;
}

/** The only keys of `configurable` that a client gets to see. */
function cleanConfig(config: unknown): unknown {
  const checkpoint = checkpointOf(config);
  return checkpoint === null ? undefined : { configurable: checkpoint };
}

function checkpointOf(config: unknown): Record<string, unknown> | null {
  if (typeof config !== "object" || config === null || !("configurable" in config)) return null;
  const configurable = config.configurable as Record<string, unknown>;
  const { thread_id, checkpoint_ns, checkpoint_id, checkpoint_map } = configurable;
  if (checkpoint_id === undefined) return checkpoint_ns ? { thread_id, checkpoint_ns } : null;
  return { thread_id, checkpoint_ns: checkpoint_ns ?? "", checkpoint_id, checkpoint_map: checkpoint_map ?? null };
}
