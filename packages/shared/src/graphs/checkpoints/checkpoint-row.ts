import type { Checkpoint, CheckpointMetadata, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import { loads, revive } from "./safe-serde.ts";

/** `[channel, type, value]`: value is JSON text for type `json`, base64 for `bytes`, null for `empty`. */
export type StoredValue = [channel: string, type: string, value: string | null];
/** `[task id, channel, type, value, run id]` in the order in which LangGraph applies them. */
export type StoredWrite = [taskId: string, channel: string, type: string, value: string, runId: string | null];

/** A checkpoint as the SQL of `checkpoint-queries.ts` and `claim_run` return it. */
export interface CheckpointRow {
  thread_id: string;
  checkpoint_ns: string;
  checkpoint_id: string;
  parent_checkpoint_id: string | null;
  checkpoint: Omit<Checkpoint, "channel_values">;
  metadata: Record<string, unknown>;
  run_id: string | null;
  channel_values: StoredValue[] | null;
  pending_writes: StoredWrite[] | null;
}

/** LangGraph's id of the writes that belong to no task: commands and the answers to interrupts. */
export const NULL_TASK_ID = "00000000-0000-0000-0000-000000000000";
const RESUME = "__resume__";

/**
 * A stored checkpoint as LangGraph reads it. `threadId` is the public id.
 *
 * Answers that another run left as a write of the null task are hidden: LangGraph would take them as the answer to the
 * *next* question too. `runId` is the run that reads, undefined for a reader that runs nothing.
 */
export async function toTuple(row: CheckpointRow, threadId: string, runId?: string): Promise<CheckpointTuple> {
  const configOf = (checkpointId: string) => ({
    configurable: { thread_id: threadId, checkpoint_ns: row.checkpoint_ns, checkpoint_id: checkpointId },
  });
  const writes = (row.pending_writes ?? []).filter(
    ([taskId, channel, , , writer]) =>
      !(taskId === NULL_TASK_ID && channel === RESUME && (runId === undefined || writer !== runId)),
  );
  const [values, metadata, pendingWrites] = await Promise.all([
    loadValues(row.channel_values ?? []),
    revive(row.metadata) as Promise<CheckpointMetadata>,
    Promise.all(
      writes.map(async ([taskId, channel, type, value]): Promise<[string, string, unknown]> => [
        taskId,
        channel,
        await loadBlob(type, value),
      ]),
    ),
  ]);
  return {
    config: configOf(row.checkpoint_id),
    checkpoint: {
      ...row.checkpoint,
      // Copies: LangGraph changes them in place, and a row may be read again.
      channel_versions: { ...row.checkpoint.channel_versions },
      versions_seen: structuredClone(row.checkpoint.versions_seen ?? {}),
      channel_values: values,
    },
    metadata,
    ...(row.parent_checkpoint_id === null ? {} : { parentConfig: configOf(row.parent_checkpoint_id) }),
    pendingWrites,
  };
}

async function loadValues(values: StoredValue[]): Promise<Record<string, unknown>> {
  const loaded: Record<string, unknown> = {};
  for (const [channel, type, value] of values) {
    if (type === "empty") continue; // the channel was cleared at this version
    loaded[channel] = await loadBlob(type, value ?? "null");
  }
  return loaded;
}

/** The value of a stored blob. */
export async function loadBlob(type: string, value: string): Promise<unknown> {
  return type === "json" ? loads(value) : new Uint8Array(Buffer.from(value, "base64"));
}
