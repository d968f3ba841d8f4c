import type { RunnableConfig } from "@langchain/core/runnables";
import { WRITES_IDX_MAP, type ChannelVersions, type Checkpoint, type CheckpointMetadata, type CheckpointTuple, type PendingWrite } from "@langchain/langgraph-checkpoint";
import type { Pool } from "../../postgres/pool.ts";
import type { Fence } from "./checkpoint-queries.ts";
import type { CheckpointRow } from "./checkpoint-row.ts";
import type { GroupWriter } from "./group-writer.ts";
import { addressOf, storedConfig, ThreadSaver, type SaverMetadata } from "./thread-saver.ts";

export interface FencedSaverOptions {
  pool: Pool;
  writer: GroupWriter;
  tenantId: string;
  fence: Fence;
  /** Aborted when the attempt is over for this worker. */
  signal: AbortSignal;
  /** Added to the metadata of every checkpoint, under what LangGraph itself says. */
  metadata: SaverMetadata;
  /** The latest root checkpoint, which the claim returned: it is not read again. */
  latest: CheckpointRow | undefined;
}

/**
 * The saver of one attempt. Every write is fenced by the attempt in the statement that stores it (see GroupWriter) and
 * carries the run's id, from which the resume rule is read.
 *
 * It also keeps the head of the root namespace in memory: the checkpoint stored last and the writes on it. While the attempt
 * holds its lease nobody else can write to the thread, so the memory is the truth, and the first load and the final state
 * cost no round trip.
 */
export class FencedSaver extends ThreadSaver {
  readonly #options: FencedSaverOptions;
  #claimed: CheckpointRow | undefined;
  #head: HeadCheckpoint | undefined;

  constructor(options: FencedSaverOptions) {
    super(options.pool, options.tenantId, options.fence.runId);
    this.#options = options;
    this.#claimed = options.latest;
  }

  /** Id of the root checkpoint that this attempt stored last; undefined before the first. */
  get storedCheckpointId(): string | undefined {
    return this.#head?.tuple.checkpoint.id;
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    if (config.configurable?.["thread_id"] === undefined) return undefined;
    const { threadId, ns, checkpointId } = addressOf(config);
    if (ns === "") {
      if (this.#head !== undefined && (checkpointId === undefined || checkpointId === this.#head.tuple.checkpoint.id)) {
        return this.#head.read();
      }
      const claimed = this.#claimed;
      if (claimed !== undefined && (checkpointId === undefined || checkpointId === claimed.checkpoint_id)) {
        const tuple = await this.tupleOf(claimed, threadId);
        this.#claimed = undefined;
        this.#head ??= new HeadCheckpoint(tuple);
        return this.#head.read();
      }
      if (checkpointId === undefined && claimed === undefined && this.#head === undefined) return undefined; // a new thread
    }
    return super.getTuple(config);
  }

  override async put(config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata, versions: ChannelVersions): Promise<RunnableConfig> {
    const { fence, writer, signal } = this.#options;
    const owned = { ...this.#options.metadata, ...metadata, run_id: fence.runId, attempt: fence.attempt };
    const rows = this.checkpointRows(config, checkpoint, owned, versions);
    const stored = storedConfig(config, checkpoint.id);
    const { ns, checkpointId: parentId } = addressOf(config);
    await writer.write(fence, rows, signal);
    if (ns === "") {
      this.#claimed = undefined;
      this.#head = new HeadCheckpoint({
        config: stored,
        checkpoint,
        metadata: owned as CheckpointMetadata,
        ...(parentId === undefined ? {} : { parentConfig: storedConfig(config, parentId) }),
        pendingWrites: [],
      });
    }
    return stored;
  }

  override async putWrites(config: RunnableConfig, writes: PendingWrite[], taskId: string, taskPath = ""): Promise<void> {
    const { fence, writer, signal } = this.#options;
    const rows = this.writeRows(config, writes, taskId, taskPath);
    await writer.write(fence, rows, signal);
    const { ns, checkpointId } = addressOf(config);
    if (ns === "" && this.#head?.tuple.checkpoint.id === checkpointId) this.#head?.addWrites(writes, taskId);
  }
}

/** A checkpoint with the writes that were stored on it since, keyed as in Postgres. */
class HeadCheckpoint {
  readonly tuple: CheckpointTuple;
  readonly #writes = new Map<string, [string, string, unknown]>();

  constructor(tuple: CheckpointTuple) {
    this.tuple = tuple;
    const positions = new Map<string, number>();
    for (const [taskId, channel, value] of tuple.pendingWrites ?? []) {
      const i = positions.get(taskId) ?? 0;
      positions.set(taskId, channel in WRITES_IDX_MAP ? i : i + 1);
      this.#set(taskId, channel, value, i);
    }
  }

  addWrites(writes: PendingWrite[], taskId: string): void {
    writes.forEach(([channel, value], i) => this.#set(taskId, channel, value, i));
  }

  /** A copy: LangGraph changes the list it is given. */
  read(): CheckpointTuple {
    return { ...this.tuple, pendingWrites: [...this.#writes.values()] };
  }

  #set(taskId: string, channel: string, value: unknown, i: number): void {
    this.#writes.set(`${taskId}\0${WRITES_IDX_MAP[channel] ?? i}`, [taskId, channel, value]);
  }
}
