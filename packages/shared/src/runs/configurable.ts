import type { Run } from "./run.ts";

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

type ConfiguredRun = Pick<Run, "thread_id" | "run_id" | "graph_id" | "assistant_id" | "kwargs" | "metadata">;

/** What a graph is called with for a run, and what its factory finds wherever it is made for that run. */
export interface GraphConfigOfRun {
  configurable: Record<string, unknown>;
  metadata: Record<string, unknown>;
  tags?: string[];
  recursionLimit?: number;
  context?: Record<string, unknown>;
}

/**
 * The caller's config, over it the headers that langgraph.json lets through, which a proxy may vouch for, and the server's
 * keys last: `thread_id`, `run_id`, `checkpoint_ns` and whatever starts with `__` never come from outside. An omitted
 * recursion limit is left out, so that the graph's own default applies.
 */
export function graphConfigOf(run: ConfiguredRun): GraphConfigOfRun {
  const { config = {}, context, headers = {} } = run.kwargs;
  return {
    configurable: {
      ...clientConfigurable({ ...config.configurable, ...headers }),
      thread_id: run.thread_id,
      run_id: run.run_id,
      graph_id: run.graph_id,
      assistant_id: run.assistant_id,
    },
    metadata: runMetadata(run),
    ...(config.tags === undefined ? {} : { tags: config.tags }),
    ...(config.recursion_limit === undefined ? {} : { recursionLimit: config.recursion_limit }),
    ...(context === undefined ? {} : { context }),
  };
}

/** In traces, message metadata and checkpoints: the run's own metadata under what the server says. Headers are never in it. */
export function runMetadata(run: ConfiguredRun): Record<string, unknown> {
  const { run_id: _run, attempt: _attempt, ...metadata } = run.metadata;
  return { ...metadata, thread_id: run.thread_id, graph_id: run.graph_id, assistant_id: run.assistant_id };
}
