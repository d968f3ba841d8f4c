/** Configurable keys that only the server sets; a caller's are dropped, and the server's go last as well. */
const SERVER_OWNED = new Set([
  "thread_id",
  "run_id",
  "checkpoint_ns",
  "checkpoint_id",
  "checkpoint_map",
  "graph_id",
  "assistant_id",
]);

/** What a caller may say in `config.configurable`: neither what the server owns nor what starts with `__`, LangGraph's own. */
export function clientConfigurable(configurable: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(configurable).filter(([key]) => !SERVER_OWNED.has(key) && !key.startsWith("__")),
  );
}
