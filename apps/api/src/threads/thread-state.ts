import { InvalidUpdateError, type StateSnapshot } from "@langchain/langgraph";
import { AppError, Conflict, InvalidRequest, messageOf, NotFound } from "@flotilla/shared/errors";
import type { CompiledGraph, GraphRegistry } from "@flotilla/shared/graphs/graph-registry";
import { EditSaver, ThreadSaver } from "@flotilla/shared/graphs/checkpoints/thread-saver";
import type { Pool, PoolClient, Queryable } from "@flotilla/shared/postgres/pool";
import { inTransaction } from "@flotilla/shared/postgres/transaction";
import { getThread, lockThread, storeEditedState, type Thread } from "@flotilla/shared/threads/thread-queries";
import { getRun, listRuns } from "@flotilla/shared/runs/run-queries";
import { graphConfigOf, type GraphConfigOfRun } from "@flotilla/shared/runs/configurable";
import type { CommandInput, Run } from "@flotilla/shared/runs/run";
import { toCommand } from "@flotilla/shared/runs/command";
import { getCheckpointOfRun } from "@flotilla/shared/graphs/checkpoints/checkpoint-queries";
import { bindGraph } from "../graphs/bind-graph.ts";
import { interruptsByTask, toThreadState, type ThreadState } from "./render-state.ts";

/** A checkpoint of a thread; of a subgraph by its namespace. `map` has those of the graphs around it. */
export interface CheckpointPlace {
  checkpointId?: string | undefined;
  ns?: string | undefined;
  map?: Record<string, string> | undefined;
}

export interface StateEdit extends CheckpointPlace {
  tenantId: string;
  threadId: string;
  graphId: string;
  values: unknown;
  asNode: string | undefined;
}

/** Updates that are applied together, in one checkpoint. */
export interface Superstep {
  updates: { values?: unknown; command?: CommandInput | undefined; as_node: string }[];
}

/** What a graph is bound for: a thread, or one run of it. */
interface GraphUse {
  tenantId: string;
  threadId: string;
  graphId: string;
  runId?: string | undefined;
}

/** Reads and edits of thread state, through the compiled graph: what comes next and what a value means only it knows. */
export class ThreadStates {
  readonly #pool: Pool;
  readonly #registry: GraphRegistry;

  constructor(pool: Pool, registry: GraphRegistry) {
    this.#pool = pool;
    this.#registry = registry;
  }

  /** @throws NotFound for a thread that does not exist; Conflict when it belongs to another graph. */
  async requireThread(tenantId: string, threadId: string, graphId?: string): Promise<Thread> {
    const thread = await getThread(this.#pool, tenantId, threadId);
    if (thread === undefined) throw new NotFound("thread", `Thread "${threadId}" does not exist`);
    requireGraph(thread, graphId);
    return thread;
  }

  /**
   * The graph as the run has it, or else as the thread's latest run has it: a factory is called with the config of that run.
   * @throws as bindGraph
   */
  async #bind(
    db: Queryable,
    saver: ThreadSaver,
    use: GraphUse,
    access: "threads.read" | "threads.update" = "threads.read",
  ): Promise<CompiledGraph> {
    const config = this.#registry.isFactory(use.graphId) ? await configOf(db, use) : {};
    return bindGraph(this.#registry, use.graphId, saver, config, access);
  }

  /** @throws NotFound for a checkpoint that does not exist. */
  async read(
    tenantId: string,
    threadId: string,
    graphId: string,
    options: CheckpointPlace & { subgraphs?: boolean | undefined; runId?: string } = {},
  ): Promise<ThreadState> {
    const { checkpointId, runId } = options;
    const use = { tenantId, threadId, graphId, runId };
    const graph = await this.#bind(this.#pool, new ThreadSaver(this.#pool, tenantId), use);
    const snapshot = await graph
      .getState({ configurable: configurableOf(threadId, options) }, { subgraphs: options.subgraphs === true })
      .catch((error: unknown) => {
        throw refusedPlace(error, options);
      });
    const state = toThreadState(snapshot);
    const isSomewhere = checkpointId !== undefined || (options.ns ?? "") !== "";
    if (isSomewhere && state.created_at === null) {
      const what = [checkpointId, options.ns].filter((part) => part !== undefined && part !== "").join('" of "');
      throw new NotFound("checkpoint", `Checkpoint "${what}" does not exist on thread "${threadId}"`);
    }
    return state;
  }

  /** Newest first; limit and cursor go into the query. */
  async history(
    tenantId: string,
    threadId: string,
    graphId: string,
    page: CheckpointPlace & {
      limit: number;
      before?: string | undefined;
      /** What the metadata of a checkpoint has to contain. */
      metadata?: Record<string, unknown> | undefined;
    },
  ): Promise<ThreadState[]> {
    const graph = await this.#bind(this.#pool, new ThreadSaver(this.#pool, tenantId), { tenantId, threadId, graphId });
    const options = {
      limit: page.limit,
      ...(page.before === undefined ? {} : { before: { configurable: { checkpoint_id: page.before } } }),
      ...(page.metadata === undefined ? {} : { filter: page.metadata }),
    };
    const states: ThreadState[] = [];
    const config = { configurable: { checkpoint_ns: "", ...configurableOf(threadId, page) } };
    try {
      for await (const snapshot of graph.getStateHistory(config, options)) states.push(toThreadState(snapshot));
    } catch (error) {
      throw refusedPlace(error, page);
    }
    return states;
  }

  /** The state that a run left: its last root checkpoint. Undefined when it left none. */
  async ofRun(tenantId: string, runId: string): Promise<ThreadState | undefined> {
    const found = await getCheckpointOfRun(this.#pool, tenantId, runId);
    return found === undefined
      ? undefined
      : this.read(tenantId, found.thread_id, found.graph_id, { checkpointId: found.checkpoint_id, runId });
  }

  /**
   * Writes what the thread's checkpoints say to its row, when that is stale: a run that had begun ended without its worker,
   * which would have written it. The status of an error stays; otherwise the thread is `interrupted` only when a question waits.
   * @returns whether the row is up to date now; not while a run is in flight, whose end will write it.
   */
  async refreshStale(tenantId: string, threadId: string): Promise<boolean> {
    return inTransaction(this.#pool, async (client) => {
      const thread = await lockThread(client, tenantId, threadId);
      if (thread === undefined || !thread.is_stale) return true;
      if (thread.in_flight || thread.graph_id === null) return false;
      const use = { tenantId, threadId, graphId: thread.graph_id };
      const graph = await this.#bind(client, new ThreadSaver(client, tenantId), use);
      const snapshot = await graph.getState({ configurable: { thread_id: threadId } });
      const interrupts = interruptsByTask(snapshot);
      const ended = Object.keys(interrupts).length > 0 ? "interrupted" : "idle";
      await storeEditedState(client, tenantId, threadId, {
        values: toThreadState(snapshot).values,
        interrupts,
        status: thread.settled_status === "error" ? "error" : ended,
      });
      return true;
    });
  }

  async storedValues(tenantId: string, threadId: string): Promise<unknown> {
    return (await getThread(this.#pool, tenantId, threadId))?.values;
  }

  /**
   * Writes values as if a node had returned them. One transaction that holds the thread's row: no run can start in between,
   * and none may be in flight.
   * @throws NotFound, Conflict while a run is active, InvalidRequest for what the graph refuses.
   */
  async update(edit: StateEdit): Promise<ThreadState> {
    return this.#edit(edit, async (graph) => {
      const configurable = configurableOf(edit.threadId, edit);
      const { createdAt } = await graph.getState({ configurable });
      if (edit.checkpointId !== undefined && createdAt === undefined) {
        throw new NotFound(
          "checkpoint",
          `Checkpoint "${edit.checkpointId}" does not exist on thread "${edit.threadId}"`,
        );
      }
      await graph.updateState({ configurable }, edit.values as Record<string, unknown>, edit.asNode);
    });
  }

  /**
   * Writes super-steps, each with its updates together in a checkpoint of its own. As `update` does it.
   * @throws as `update`.
   */
  async applySupersteps(
    thread: Pick<StateEdit, "tenantId" | "threadId" | "graphId">,
    supersteps: Superstep[],
  ): Promise<ThreadState> {
    return this.#edit(thread, async (graph) => {
      const steps = supersteps.map(({ updates }) => ({
        updates: updates.map(({ values, command, as_node }) => ({
          values: command === undefined ? values : toCommand(command),
          asNode: as_node,
        })),
      }));
      await graph.bulkUpdateState({ configurable: { thread_id: thread.threadId } }, steps as never);
    });
  }

  /** Holds the thread's row, lets `write` go through the graph, and writes to the row what has come of it. */
  async #edit(
    { tenantId, threadId, graphId }: Pick<StateEdit, "tenantId" | "threadId" | "graphId">,
    write: (graph: CompiledGraph) => Promise<void>,
  ): Promise<ThreadState> {
    return inTransaction(this.#pool, async (client) => {
      const thread = await lockThread(client, tenantId, threadId);
      if (thread === undefined) throw new NotFound("thread", `Thread "${threadId}" does not exist`);
      requireGraph(thread, graphId);
      if (thread.in_flight)
        throw new Conflict(
          "run_active",
          `A run of thread "${threadId}" is active; its state cannot be edited meanwhile`,
        );
      const saver = new EditSaver(client, tenantId, { graph_id: graphId, thread_id: threadId });
      const graph = await this.#bind(client, saver, { tenantId, threadId, graphId }, "threads.update");
      await write(graph).catch((error: unknown) => {
        throw refusedEdit(error);
      });
      const snapshot: StateSnapshot = await graph.getState({ configurable: { thread_id: threadId } });
      return storeSnapshot(client, tenantId, threadId, snapshot);
    });
  }
}

function configurableOf(threadId: string, { checkpointId, ns, map }: CheckpointPlace): Record<string, unknown> {
  return {
    thread_id: threadId,
    ...(ns === undefined || ns === "" ? {} : { checkpoint_ns: ns }),
    ...(checkpointId === undefined ? {} : { checkpoint_id: checkpointId }),
    ...(map === undefined ? {} : { checkpoint_map: map }),
  };
}

/** A namespace that names no subgraph is a place that does not exist. */
function refusedPlace(error: unknown, { ns }: CheckpointPlace): unknown {
  const unknown = ns !== undefined && ns !== "" && error instanceof Error && /subgraph/i.test(error.message);
  return unknown ? new NotFound("checkpoint", `There is no subgraph "${ns}" in this thread's graph`) : error;
}

async function configOf(
  db: Queryable,
  { tenantId, threadId, graphId, runId }: GraphUse,
): Promise<Pick<GraphConfigOfRun, "configurable">> {
  const run: Run | undefined =
    runId === undefined
      ? (await listRuns(db, tenantId, threadId, { limit: 1, offset: 0 }))[0]
      : await getRun(db, tenantId, threadId, runId);
  if (run === undefined) return { configurable: { thread_id: threadId, graph_id: graphId } };
  return graphConfigOf({ ...run, graph_id: graphId }); // the thread may have gone to another graph since
}

/** The thread's row as its checkpoints say. The caller holds it. */
async function storeSnapshot(
  client: PoolClient,
  tenantId: string,
  threadId: string,
  snapshot: StateSnapshot,
): Promise<ThreadState> {
  const state = toThreadState(snapshot);
  const interrupts = interruptsByTask(snapshot);
  const waits = snapshot.next.length > 0 || Object.keys(interrupts).length > 0;
  const status = waits ? "interrupted" : "idle";
  await storeEditedState(client, tenantId, threadId, { values: state.values, interrupts, status });
  return state;
}

function requireGraph(thread: Thread, graphId: string | undefined): void {
  if (graphId === undefined || thread.graph_id === null || thread.graph_id === graphId) return;
  throw new Conflict(
    "thread_of_other_graph",
    `Thread "${thread.thread_id}" belongs to graph "${thread.graph_id}", not to "${graphId}"`,
  );
}

/** What LangGraph and a graph's reducers say about values they cannot take is meant for whoever sent them. */
function refusedEdit(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const refused = error instanceof InvalidUpdateError || (error instanceof Error && !("code" in error));
  return refused ? new InvalidRequest(`The graph does not take this update: ${messageOf(error)}`) : error;
}
