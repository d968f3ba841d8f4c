import { InvalidRequest, messageOf } from "@flotilla/shared/errors";
import type { CompiledGraph } from "@flotilla/shared/graphs/graph-registry";

/** Nodes and edges, as clients draw them. AGENT_SERVER_API section 3. */
export interface DrawnGraph {
  nodes: Record<string, unknown>[];
  edges: Record<string, unknown>[];
}

/**
 * The drawing that LangGraph makes of a graph.
 * @param xray whether subgraphs are shown from inside, or how many levels of them.
 * @throws InvalidRequest for a graph that LangGraph cannot draw, for example one with an edge to no node.
 */
export async function drawGraph(graph: CompiledGraph, xray: boolean | number): Promise<DrawnGraph> {
  try {
    // Declared by LangGraph's subclass of Pregel only.
    const drawable = await graph.getGraphAsync({ xray } as object);
    return drawable.toJSON() as unknown as DrawnGraph;
  } catch (error) {
    throw new InvalidRequest(`LangGraph cannot draw this graph: ${messageOf(error)}`);
  }
}

/**
 * The subgraphs of a graph by namespace, the names of nodes joined by `|`.
 * @param namespace only the subgraph exactly there
 */
export async function subgraphsOf(
  graph: CompiledGraph,
  { namespace, recurse }: { namespace?: string | undefined; recurse: boolean },
): Promise<[string, CompiledGraph][]> {
  const found: [string, CompiledGraph][] = [];
  // LangGraph goes down to a namespace of several names only when it may recurse.
  const descend = recurse || namespace?.includes("|") === true;
  for await (const [name, subgraph] of graph.getSubgraphsAsync(namespace, descend))
    found.push([name, subgraph as CompiledGraph]);
  return found;
}
