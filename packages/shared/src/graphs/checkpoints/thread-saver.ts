import type { RunnableConfig } from "@langchain/core/runnables";
import {
  maxChannelVersion,
  TASKS,
  WRITES_IDX_MAP,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import type { Pool, PoolClient, Queryable } from "../../postgres/pool.ts";
import { toJsonb } from "../../postgres/jsonb.ts";
import { dumps, SafeSerde } from "./safe-serde.ts";
import {
  selectById,
  selectLatest,
  selectList,
  selectPendingSends,
  writeUnfenced,
  type CheckpointRows,
} from "./checkpoint-queries.ts";
import { loadBlob, toTuple, type CheckpointRow } from "./checkpoint-row.ts";

/** Metadata that a saver adds to every checkpoint. Server-owned: a client's metadata cannot set `run_id` or `attempt`. */
export type SaverMetadata = Record<string, unknown>;

/**
 * LangGraph's `PostgresSaver` on the same tables, made safe: see DESIGN.md section 6 for each difference. This class reads;
 * what it may write its subclasses say. Callers use public thread ids; the tables hold the tenant in front of them.
 */
export class ThreadSaver extends PostgresSaver {
  readonly db: Queryable;
  readonly tenantId: string;
  /** The run that reads; undefined when nothing is executed. */
  readonly readingRunId: string | undefined;

  constructor(db: Queryable, tenantId: string, readingRunId?: string) {
    super(db as Pool, new SafeSerde());
    this.db = db;
    this.tenantId = tenantId;
    this.readingRunId = readingRunId;
  }

  /**
   * Numeric, as in threads that the stock saver wrote, yet unique per fork: blobs are keyed by version, and two branches
   * that both count to 5 would share one blob, the first to be written.
   */
  override getNextVersion(current: number | undefined): number {
    return Math.floor(current ?? 0) + 1 + Math.random();
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    if (config.configurable?.["thread_id"] === undefined) return undefined; // as every saver does
    const { threadId, ns, checkpointId } = addressOf(config);
    const stored = this.storedThreadId(threadId);
    const { rows } = await this.db.query<CheckpointRow>(
      checkpointId === undefined ? selectLatest(stored, ns) : selectById(stored, ns, checkpointId),
    );
    return rows[0] === undefined ? undefined : this.tupleOf(rows[0], threadId);
  }

  override async *list(config: RunnableConfig, options: CheckpointListOptions = {}): AsyncGenerator<CheckpointTuple> {
    const configurable = (config.configurable ?? {}) as Record<string, string | undefined>;
    const threadId = configurable["thread_id"];
    if (threadId === undefined) throw new Error("Checkpoints are listed per thread: configurable.thread_id is missing");
    const filter = options.filter && Object.keys(options.filter).length > 0 ? toJsonb(options.filter) : undefined;
    const { rows } = await this.db.query<CheckpointRow>(
      selectList({
        threadId: this.storedThreadId(threadId),
        ns: configurable["checkpoint_ns"],
        checkpointId: configurable["checkpoint_id"],
        before: options.before?.configurable?.["checkpoint_id"] as string | undefined,
        metadata: filter,
        limit: options.limit,
      }),
    );
    for (const row of rows) yield await this.tupleOf(row, threadId);
  }

  override put(
    _config: RunnableConfig,
    _checkpoint: Checkpoint,
    _metadata: CheckpointMetadata,
    _versions: ChannelVersions,
  ): Promise<RunnableConfig> {
    throw new Error("This saver only reads");
  }

  override putWrites(
    _config: RunnableConfig,
    _writes: PendingWrite[],
    _taskId: string,
    _taskPath?: string,
  ): Promise<void> {
    throw new Error("This saver only reads");
  }

  override deleteThread(_threadId: string): Promise<void> {
    throw new Error("Threads are deleted with their runs, see delete_thread");
  }

  /** A stored row as LangGraph reads it. */
  protected async tupleOf(row: CheckpointRow, threadId: string): Promise<CheckpointTuple> {
    const tuple = await toTuple(row, threadId, this.readingRunId);
    if (tuple.checkpoint.v < 4 && row.parent_checkpoint_id !== null) await this.#addPendingSends(tuple, row);
    return tuple;
  }

  /** Until format 4, the sends of a step were kept as writes of the parent checkpoint: threads of older LangGraph versions. */
  async #addPendingSends({ checkpoint }: CheckpointTuple, row: CheckpointRow): Promise<void> {
    const { rows } = await this.db.query<{ type: string; value: string }>(selectPendingSends(row));
    if (rows.length === 0) return;
    const versions = Object.values(checkpoint.channel_versions) as number[];
    checkpoint.channel_values[TASKS] = await Promise.all(rows.map(({ type, value }) => loadBlob(type, value)));
    checkpoint.channel_versions[TASKS] =
      versions.length > 0 ? maxChannelVersion(...versions) : this.getNextVersion(undefined);
  }

  protected storedThreadId(threadId: string): string {
    return this.tenantId === "default" ? threadId : `${this.tenantId}/${threadId}`;
  }

  /**
   * The rows of one checkpoint. Only channels with a new version are stored again. One that was cleared has no blob: the stock
   * saver stores a row that says so, half of all rows of a graph with a node per step, and no row reads the same.
   */
  protected checkpointRows(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: object,
    versions: ChannelVersions,
  ): CheckpointRows {
    const { threadId, ns, checkpointId: parentId } = addressOf(config);
    const stored = this.storedThreadId(threadId);
    const { channel_values: values, ...rest } = checkpoint;
    const blobs: CheckpointRows["blobs"] = Object.entries(versions).flatMap(([channel, version]) => {
      if (!(channel in values)) return [];
      const [type, blob] = dumpBlob(values[channel]);
      return [[stored, ns, channel, String(version), type, blob]];
    });
    const checkpointText = toJsonb(rest);
    const metadataText = toJsonb(JSON.parse(dumps(metadata)));
    const bytes = blobs.reduce(
      (sum, [, , , , , blob]) => sum + blob.length,
      checkpointText.length + metadataText.length,
    );
    return {
      blobs,
      writes: [],
      checkpoints: [[stored, ns, checkpoint.id, parentId ?? null, checkpointText, metadataText, null]],
      bytes,
    };
  }

  /** The rows of a task's writes. */
  protected writeRows(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    taskPath: string,
  ): CheckpointRows {
    const { threadId, ns, checkpointId } = addressOf(config);
    if (checkpointId === undefined)
      throw new Error("Writes belong to a checkpoint: configurable.checkpoint_id is missing");
    const stored = this.storedThreadId(threadId);
    let bytes = 0;
    const rows = writes.map(([channel, value], i): CheckpointRows["writes"][number] => {
      const [type, blob] = dumpBlob(value);
      bytes += blob.length;
      return [stored, ns, checkpointId, taskId, WRITES_IDX_MAP[channel] ?? i, channel, type, blob, taskPath];
    });
    return { blobs: [], writes: rows, checkpoints: [], bytes };
  }
}

/** Writes through a transaction that holds the thread's row: state edits. No run can be in flight meanwhile. */
export class EditSaver extends ThreadSaver {
  readonly #metadata: SaverMetadata;

  constructor(client: PoolClient, tenantId: string, metadata: SaverMetadata = {}) {
    super(client, tenantId);
    this.#metadata = metadata;
  }

  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    versions: ChannelVersions,
  ): Promise<RunnableConfig> {
    await this.#store(this.checkpointRows(config, checkpoint, { ...this.#metadata, ...metadata }, versions));
    return storedConfig(config, checkpoint.id);
  }

  override async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    taskPath = "",
  ): Promise<void> {
    await this.#store(this.writeRows(config, writes, taskId, taskPath));
  }

  async #store(rows: CheckpointRows): Promise<void> {
    for (const statement of writeUnfenced(rows)) await this.db.query(statement);
  }
}

export interface CheckpointAddress {
  threadId: string;
  ns: string;
  checkpointId: string | undefined;
}

/** What a LangGraph config addresses. */
export function addressOf(config: RunnableConfig): CheckpointAddress {
  const configurable = (config.configurable ?? {}) as Record<string, string | undefined>;
  const threadId = configurable["thread_id"];
  if (threadId === undefined) throw new Error("configurable.thread_id is missing");
  return {
    threadId,
    ns: configurable["checkpoint_ns"] ?? "",
    checkpointId: configurable["checkpoint_id"] || undefined,
  };
}

/** The config of a checkpoint that was just stored. */
export function storedConfig(config: RunnableConfig, checkpointId: string): RunnableConfig {
  const { threadId, ns } = addressOf(config);
  return { configurable: { thread_id: threadId, checkpoint_ns: ns, checkpoint_id: checkpointId } };
}

function dumpBlob(value: unknown): [type: string, blob: Buffer] {
  if (value instanceof Uint8Array) return ["bytes", Buffer.from(value.buffer, value.byteOffset, value.byteLength)];
  return ["json", Buffer.from(dumps(value), "utf8")];
}
