import type { RunControl } from "@langchain/langgraph";
import type { CompiledGraph } from "@flotilla/shared/graphs/graph-registry";
import type { ClaimedRun } from "@flotilla/shared/runs/run";
import { engineModes, type ChunkEvents } from "../streaming/chunk-events.ts";
import { outcomeOf, type RunOutcome } from "./outcome.ts";
import { toRunConfig } from "./run-config.ts";

export interface RunGraphOptions {
  graph: CompiledGraph;
  run: ClaimedRun;
  input: unknown;
  checkpointId: string | undefined;
  events: ChunkEvents;
  /** Aborting it stops the graph; its reason becomes the outcome. Reaches the nodes as `config.signal`. */
  signal: AbortSignal;
  /** A drain request stops the graph at the next super-step. */
  control: RunControl;
}

/** Streams the graph to its end and says how it ended. Checkpoints go through the graph's saver on the way. Never throws. */
export async function runGraph(options: RunGraphOptions): Promise<RunOutcome> {
  const { signal } = options;
  try {
    if (signal.aborted) return outcomeOf(undefined, signal);
    await (options.run.kwargs.stream_mode.includes("events") ? streamWithEvents(options) : streamPlain(options));
    return signal.aborted ? outcomeOf(undefined, signal) : { kind: "finished" };
  } catch (thrown) {
    return outcomeOf(thrown, signal);
  }
}

/** A chunk as LangGraph yields it when it is asked for several modes with subgraphs. */
type Chunk = [namespace: string[], mode: string, payload: unknown];

async function streamPlain(options: RunGraphOptions): Promise<void> {
  const stream = await options.graph.stream(options.input, streamOptions(options) as never);
  for await (const chunk of stream as AsyncIterable<Chunk>) emit(options, chunk);
}

/** Mode `events` needs LangChain's event stream; the chunks of the other modes come in it, as chunks of the root. */
async function streamWithEvents(options: RunGraphOptions): Promise<void> {
  const { graph, run, input, events } = options;
  const stream = graph.streamEvents(input, { ...streamOptions(options), version: "v2" } as never);
  for await (const event of stream as unknown as AsyncIterable<LangChainEvent>) {
    if (event.tags?.includes("langsmith:hidden")) continue;
    const isChunk = event.event === "on_chain_stream" && event.run_id === run.run_id && Array.isArray(event.data.chunk);
    if (isChunk) emit(options, event.data.chunk as Chunk);
    else events.event(event);
  }
}

interface LangChainEvent {
  event: string;
  run_id: string;
  tags?: string[];
  data: { chunk?: unknown };
}

function streamOptions({ run, checkpointId, signal, control }: RunGraphOptions): Record<string, unknown> {
  return {
    ...toRunConfig(run, checkpointId),
    streamMode: engineModes(run.kwargs.stream_mode),
    subgraphs: true,
    signal,
    control,
  };
}

/** Modes whose events of a subgraph show as the root's when subgraphs were not asked for. */
const SHOWN_AS_ROOT = new Set(["messages", "custom", "tools"]);

/**
 * LangGraph is always asked for subgraphs: it would keep their tokens back otherwise, and clients that did not ask for
 * subgraphs still get those, as tokens of the root. Everything else of a subgraph is for clients that asked.
 */
function emit({ run, events }: RunGraphOptions, [namespace, mode, payload]: Chunk): void {
  if (namespace.length === 0 || run.kwargs.stream_subgraphs === true) events.chunk(namespace, mode, payload);
  else if (SHOWN_AS_ROOT.has(mode)) events.chunk([], mode, payload);
}
