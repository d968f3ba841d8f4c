import type { RunnableConfig } from "@langchain/core/runnables";
import { AppError, GraphNotLoaded } from "@flotilla/shared/errors";
import type { AccessContext, CompiledGraph, GraphRegistry } from "@flotilla/shared/graphs/graph-registry";

/**
 * A graph for reading: its state, its shape. What a factory throws is no failure of ours to be waited out, whatever it looks
 * like.
 * @throws NotFound; GraphNotLoaded also for a factory that fails.
 */
export async function bindGraph(
  registry: GraphRegistry,
  graphId: string,
  saver: Parameters<GraphRegistry["bind"]>[1],
  config: RunnableConfig,
  accessContext: Exclude<AccessContext, "threads.create_run">,
): Promise<CompiledGraph> {
  return registry.bind(graphId, saver, config, accessContext).catch((error: unknown) => {
    if (error instanceof AppError) throw error;
    throw new GraphNotLoaded(`The factory of graph "${graphId}" failed; the log of the server says why`, {
      cause: error,
    });
  });
}
