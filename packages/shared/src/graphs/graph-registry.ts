import type { RunnableConfig } from "@langchain/core/runnables";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import type { Pregel } from "@langchain/langgraph/pregel";
import { GraphNotLoaded, messageOf, NotFound } from "../errors.ts";
import type { Logger } from "../process/logger.ts";
import type { GraphConfig, GraphEntry } from "./langgraph-json.ts";
import { loadModule } from "./load-module.ts";

// eslint-disable-next-line typescript/no-explicit-any -- Pregel's type parameters are those of graphs we do not know
export type CompiledGraph = Pregel<any, any, any>;
/** What a graph is made for: to execute a run, to read or edit a thread's state, or to be described. */
export type AccessContext = "threads.create_run" | "threads.read" | "threads.update" | "assistants.read";

/** What a factory gets beside the config, as LangGraph's own server gives it: only a run needs what is costly to make. */
type ServerRuntime =
  | { accessContext: "threads.create_run"; executionRuntime: { context: unknown } }
  | { accessContext: Exclude<AccessContext, "threads.create_run">; executionRuntime: null };

/** An export may be called for each access. */
type GraphFactory = (config: RunnableConfig, runtime: ServerRuntime) => unknown;

interface LoadedGraph {
  entry: GraphEntry;
  source: CompiledGraph | GraphFactory | undefined;
  /** Why the graph cannot be used, with its file. */
  problem: string | undefined;
}

export interface GraphDescription {
  name: string;
  description: string | null;
  /** Set when the graph could not be loaded. */
  error?: string;
}

/**
 * The graphs of a langgraph.json, loaded once and compiled once per process. A graph that cannot be loaded is named with its
 * file and its error and does not take the others down.
 */
export class GraphRegistry {
  readonly #graphs: ReadonlyMap<string, LoadedGraph>;

  private constructor(graphs: LoadedGraph[]) {
    this.#graphs = new Map(graphs.map((graph) => [graph.entry.id, graph]));
  }

  /** Loads the graphs of a langgraph.json whose `env` the caller has put into the environment. */
  static async load(config: GraphConfig, logger: Logger): Promise<GraphRegistry> {
    const graphs: LoadedGraph[] = [];
    for (const entry of config.graphs) graphs.push(await loadGraph(entry, logger)); // one after the other: modules share imports
    return new GraphRegistry(graphs);
  }

  get ids(): string[] {
    return [...this.#graphs.keys()];
  }

  has(graphId: string): boolean {
    return this.#graphs.has(graphId);
  }

  describe(): GraphDescription[] {
    return [...this.#graphs.values()].map(({ entry, problem }) => ({
      name: entry.id,
      description: entry.description ?? null,
      ...(problem === undefined ? {} : { error: "the graph could not be loaded; see the log of the server" }),
    }));
  }

  /** @throws NotFound naming the graphs that exist. */
  require(graphId: string): void {
    if (!this.has(graphId)) {
      throw new NotFound("graph", `Graph "${graphId}" does not exist. There are: ${this.ids.join(", ") || "none"}`);
    }
  }

  /** @throws NotFound as `require`; GraphNotLoaded, which names the graph and leaves file and reason to the log. */
  requireLoaded(graphId: string): void {
    this.#source(graphId);
  }

  /** Where the graph comes from. */
  sourceOf(graphId: string): Pick<GraphEntry, "file" | "exportName"> | undefined {
    return this.#graphs.get(graphId)?.entry;
  }

  /** Whether the graph is made for each use, from a config. */
  isFactory(graphId: string): boolean {
    return typeof this.#graphs.get(graphId)?.source === "function";
  }

  #source(graphId: string): CompiledGraph | GraphFactory {
    this.require(graphId);
    const { source, problem } = this.#graphs.get(graphId) as LoadedGraph;
    if (source !== undefined) return source;
    throw new GraphNotLoaded(`Graph "${graphId}" could not be loaded; the log of the server says why`, {
      cause: problem,
    });
  }

  /**
   * The graph with a saver of its own, without a change to the shared one: several runs use it at once.
   * @param config what a factory gets: for a run, and for what it left, the run's. It always finds a `configurable`, if an empty one.
   * @throws NotFound for an unknown id; GraphNotLoaded; whatever a factory throws.
   */
  async bind(
    graphId: string,
    saver: BaseCheckpointSaver,
    config: RunnableConfig = {},
    accessContext: AccessContext = "assistants.read",
  ): Promise<CompiledGraph> {
    const source = this.#source(graphId);
    const made = async (factory: GraphFactory): Promise<unknown> =>
      factory({ configurable: {}, ...config }, runtimeOf(config, accessContext));
    const graph = isCompiled(source) ? source : compile(await made(source));
    if (graph === undefined) throw new GraphNotLoaded(`The factory of graph "${graphId}" returned no graph`);
    return Object.create(graph, { checkpointer: { value: saver, writable: true, enumerable: true } }) as CompiledGraph;
  }
}

function runtimeOf(config: RunnableConfig, accessContext: AccessContext): ServerRuntime {
  return accessContext === "threads.create_run"
    ? { accessContext, executionRuntime: { context: (config as { context?: unknown }).context } }
    : { accessContext, executionRuntime: null };
}

async function loadGraph(entry: GraphEntry, logger: Logger): Promise<LoadedGraph> {
  try {
    const module = await loadModule(entry.file);
    const exported = await module[entry.exportName];
    if (exported === undefined) {
      const names = Object.keys(module).join(", ");
      throw new Error(`the module has no export "${entry.exportName}"; it exports: ${names || "nothing"}`);
    }
    const graph = compile(exported) ?? (typeof exported === "function" ? (exported as GraphFactory) : undefined);
    if (graph === undefined)
      throw new Error(`the export "${entry.exportName}" is no graph, no graph builder and no function`);
    return { entry, source: graph, problem: undefined };
  } catch (error) {
    const problem = `graph "${entry.id}" (${entry.file}): ${messageOf(error)}`;
    logger.error({ graph: entry.id, file: entry.file, err: messageOf(error) }, "a graph could not be loaded");
    return { entry, source: undefined, problem };
  }
}

/** A compiled graph as it is, a builder compiled; undefined for anything else. Judged by shape: a project brings its own LangGraph. */
function compile(exported: unknown): CompiledGraph | undefined {
  if (typeof exported !== "object" || exported === null) return undefined;
  if (isCompiled(exported)) return exported;
  if ("compile" in exported && typeof exported.compile === "function")
    return (exported.compile as () => CompiledGraph)();
  return undefined;
}

function isCompiled(value: object): value is CompiledGraph {
  return "streamMode" in value && "nodes" in value && "channels" in value && "stream" in value;
}
