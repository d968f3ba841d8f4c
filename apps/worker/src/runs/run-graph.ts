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

async function streamPlain({ graph, run, input, checkpointId, events, signal, control }: RunGraphOptions): Promise<void> {
  const subgraphs = run.kwargs.stream_subgraphs === true;
  const stream = await graph.stream(input, {
    ...toRunConfig(run, checkpointId),
    streamMode: engineModes(run.kwargs.stream_mode) as never,
    subgraphs,
    signal,
    control,
  } as never);
  for await (const chunk of stream as AsyncIterable<unknown[]>) {
    if (subgraphs) events.chunk(chunk[0] as string[], chunk[1] as string, chunk[2]);
    else events.chunk([], chunk[0] as string, chunk[1]);
  }
}

/** Mode `events` needs LangChain's event stream; the chunks of the other modes come in it, as chunks of the root. */
async function streamWithEvents({ graph, run, input, checkpointId, events, signal, control }: RunGraphOptions): Promise<void> {
  const subgraphs = run.kwargs.stream_subgraphs === true;
  const stream = graph.streamEvents(input, {
    ...toRunConfig(run, checkpointId),
    version: "v2",
    streamMode: engineModes(run.kwargs.stream_mode) as never,
    subgraphs,
    signal,
    control,
  } as never);
  for await (const event of stream as unknown as AsyncIterable<{ event: string; run_id: string; tags?: string[]; data: { chunk?: unknown } }>) {
    if (event.tags?.includes("langsmith:hidden")) continue;
    if (event.event === "on_chain_stream" && event.run_id === run.run_id && Array.isArray(event.data.chunk)) {
      const chunk = event.data.chunk as unknown[];
      if (subgraphs) events.chunk(chunk[0] as string[], chunk[1] as string, chunk[2]);
      else events.chunk([], chunk[0] as string, chunk[1]);
    } else {
      events.event(event);
    }
  }
}
