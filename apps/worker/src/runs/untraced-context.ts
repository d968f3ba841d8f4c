import * as ourSingletons from "@langchain/core/singletons";
import { copiesOf } from "./project-copies.ts";

/**
 * Around each node, edge and channel write, LangChain enters an async context that holds the node's config, and makes a
 * LangSmith `RunTree` for it even when nobody traces: a UUID, a timestamp with a counter, 25 properties. That is 40 % of the
 * processor time that LangGraph takes for a graph of small nodes (chain5 without a checkpointer: 4.6 ms with, 2.6 ms without).
 *
 * While nothing traces, this puts a stand-in there: an object whose prototype is one such RunTree, with the config as its own.
 * Whoever reads the context finds what he would have found: the config, the context variables, and a tree with tracing off.
 * Where the environment switches tracing on, nothing is changed; a run with a tracer among its callbacks is left alone.
 *
 * The rejected alternative, a tracer of our own among the callbacks, makes LangChain call a handler around every node.
 */

const CHILD_CONFIG = Symbol.for("lc:child_config");
const CONTEXT_VARIABLES = Symbol.for("lc:context_variables");
const TRACER = "langchain_tracer";
const TRACING_SWITCHES = ["LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING", "LANGCHAIN_TRACING"];

interface Singletons {
  AsyncLocalStorageProviderSingleton: ContextProvider;
}
/** What LangChain keeps in its async context. */
interface Tree {
  extra?: Record<symbol, unknown>;
  tracingEnabled?: boolean;
  [CONTEXT_VARIABLES]?: unknown;
}
interface Config {
  callbacks?: unknown;
}
/** LangChain's `AsyncLocalStorageProvider`, as far as this needs it. */
export interface ContextProvider {
  getInstance(): { getStore(): Tree | undefined; run<T>(tree: Tree | undefined, work: () => T): T };
  runWithConfig<T>(config: Config | undefined, work: () => T, avoidCreatingRootRunTree?: boolean): T;
}

/** Puts the stand-ins in place for the graphs of a langgraph.json, once they are loaded. */
export async function useStandInsForGraphs(configPath: string, env: NodeJS.ProcessEnv): Promise<void> {
  if (TRACING_SWITCHES.some((name) => env[name] === "true")) return;
  const copies = await copiesOf<Singletons>(
    "@langchain/core/singletons",
    ourSingletons as unknown as Singletons,
    configPath,
  );
  for (const provider of new Set(copies.map((copy) => copy.AsyncLocalStorageProviderSingleton))) useStandIns(provider);
}

/**
 * Puts the stand-ins into a provider. One that does not behave as described above is left alone.
 * @returns whether they are there.
 */
export function useStandIns(provider: ContextProvider): boolean {
  const original = provider.runWithConfig.bind(provider);
  const probe: Config = {};
  const tree = original(probe, () => provider.getInstance().getStore());
  if (tree?.tracingEnabled !== false || tree.extra?.[CHILD_CONFIG] !== probe) return false;

  provider.runWithConfig = (config, work, avoidCreatingRootRunTree) => {
    if (avoidCreatingRootRunTree === true || hasTracer(config)) return original(config, work, avoidCreatingRootRunTree);
    const storage = provider.getInstance();
    const outer = storage.getStore();
    const standIn = Object.create(tree) as Tree & { child_runs: unknown[] };
    standIn.extra = { [CHILD_CONFIG]: config };
    standIn.child_runs = []; // the prototype's would grow for ever
    if (outer?.[CONTEXT_VARIABLES] !== undefined) standIn[CONTEXT_VARIABLES] = outer[CONTEXT_VARIABLES];
    return storage.run(standIn, work);
  };
  return true;
}

function hasTracer(config: Config | undefined): boolean {
  const callbacks = config?.callbacks;
  if (callbacks === undefined || callbacks === null) return false;
  const handlers: unknown = Array.isArray(callbacks) ? callbacks : (callbacks as { handlers?: unknown }).handlers;
  return Array.isArray(handlers) && handlers.some((handler) => (handler as { name?: string } | null)?.name === TRACER);
}
