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

/** `langgraph_auth_user` and its kin say who calls; `__` is LangGraph's own. */
const SERVER_OWNED_PREFIXES = ["langgraph_auth_", "__"];

/** What a caller may say in `config.configurable`: nothing that only the server knows. */
export function clientConfigurable(configurable: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(configurable).filter(
      ([key]) => !SERVER_OWNED.has(key) && !SERVER_OWNED_PREFIXES.some((prefix) => key.startsWith(prefix)),
    ),
  );
}
