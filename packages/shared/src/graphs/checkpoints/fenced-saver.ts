import type { RunnableConfig } from "@langchain/core/runnables";
import {
  copyCheckpoint,
  WRITES_IDX_MAP,
  type ChannelVersions,
  type Checkpoint,
  type CheckpointMetadata,
  type CheckpointTuple,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";
import type { Pool } from "../../postgres/pool.ts";
import { whileAway } from "../../postgres/transaction.ts";
import type { CheckpointRows, Fence } from "./checkpoint-queries.ts";
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
  /**
   * The run begins as if the thread were empty: what other runs left is not to be seen, of subgraphs that keep their state either.
   * `latest` is one of this run then, or undefined.
   */
  isAnew?: boolean;
  /** How many events the attempt has appended. Stored with each checkpoint: what did not reach Redis is found missing by it. */
  eventCount?(): number;
}

/** Where a row of `CheckpointRowIn` has its id, and where it counts events. */
const CHECKPOINT_ID = 2;
const EVENTS = 6;

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
  #head: HeadCheckpoint | undefined;
  #storedCheckpointId: string | undefined;
  /** With durability `async`, writes may be stored before the checkpoint that they belong to. */
  #early: { checkpointId: string; writes: PendingWrite[]; taskId: string }[] = [];
  /** Ids of checkpoints, of the graph and of subgraphs, that are in Postgres as far as this attempt has seen. */
  readonly #inPostgres = new Set<string>();
  /** Writes that LangGraph has asked for and that are not in Postgres yet. */
  readonly #underWay = new Set<Promise<unknown>>();
  /** The root checkpoints that were stored. Their ids say nothing about their order: clocks go backwards. */
  readonly #past = new Set<string>();

  constructor(options: FencedSaverOptions) {
    super(options.pool, options.tenantId, options.fence.runId);
    this.#options = options;
    const { latest } = options;
    if (latest !== undefined) {
      this.#head = new HeadCheckpoint(latest.checkpoint_id, (threadId) => this.tupleOf(latest, threadId));
    }
  }

  /** Id of the root checkpoint that this attempt stored last; undefined before the first. */
  get storedCheckpointId(): string | undefined {
    return this.#storedCheckpointId;
  }

  /** Resolves when no write of this attempt is under way: LangGraph tells of an abort before its last writes are stored. */
  drained(): Promise<void> {
    return this.#options.writer.drained(this.#options.fence.runId);
  }

  /**
   * Waits until a checkpoint is in Postgres: with durability `async`, tasks begin before it is. False for one that is not on
   * its way there: with durability `exit`, and of a subgraph without this saver.
   * @throws what kept a checkpoint of this attempt from being stored
   */
  async isStored(checkpointId: string): Promise<boolean> {
    for (let isIdle = false; !this.#inPostgres.has(checkpointId);) {
      if (this.#underWay.size > 0) await Promise.race(this.#underWay);
      else if (isIdle) return false;
      // LangGraph asks for the next write in microtasks after the last one, so a turn in which nothing comes tells.
      await new Promise((resolve) => setImmediate(resolve));
      isIdle = this.#underWay.size === 0;
    }
    return true;
  }

  protected override tupleOf(row: CheckpointRow, threadId: string): Promise<CheckpointTuple> {
    this.#inPostgres.add(row.checkpoint_id);
    return super.tupleOf(row, threadId);
  }

  async #write(rows: CheckpointRows): Promise<void> {
    const { fence, writer, signal } = this.#options;
    const write = writer.write(fence, rows, signal);
    this.#underWay.add(write);
    try {
      await write;
      for (const row of rows.checkpoints) this.#inPostgres.add(row[CHECKPOINT_ID]);
    } finally {
      this.#underWay.delete(write);
    }
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    if (config.configurable?.["thread_id"] === undefined) return undefined;
    const { threadId, ns, checkpointId } = addressOf(config);
    if (ns === "") {
      if (this.#head === undefined && checkpointId === undefined) return undefined; // a new thread
      if (this.#head !== undefined && (checkpointId ?? this.#head.checkpointId) === this.#head.checkpointId)
        return this.#head.read(threadId);
    }
    const { signal, isAnew = false, fence } = this.#options;
    const tuple = await whileAway(() => super.getTuple(config), signal);
    const isForeign = isAnew && (tuple?.metadata as SaverMetadata | undefined)?.["run_id"] !== fence.runId;
    return isForeign && checkpointId === undefined ? undefined : tuple;
  }

  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    versions: ChannelVersions,
  ): Promise<RunnableConfig> {
    const { fence, signal } = this.#options;
    // With durability "exit" an aborted run stores a checkpoint like one that ended: the mark tells them apart.
    const aborted = signal.aborted ? { aborted: true } : {};
    const owned = { ...this.#options.metadata, ...metadata, ...aborted, run_id: fence.runId, attempt: fence.attempt };
    const rows = this.checkpointRows(config, checkpoint, owned, versions);
    const stored = storedConfig(config, checkpoint.id);
    const { ns, checkpointId: parentId } = addressOf(config);
    const { eventCount } = this.#options;
    if (eventCount !== undefined) rows.onTaken = () => rows.checkpoints.forEach((row) => (row[EVENTS] = eventCount()));
    await this.#write(rows);
    if (ns === "") {
      this.#storedCheckpointId = checkpoint.id;
      this.#head = new HeadCheckpoint(checkpoint.id, async () => ({
        config: stored,
        checkpoint: copyCheckpoint(checkpoint),
        metadata: { ...owned } as CheckpointMetadata,
        ...(parentId === undefined ? {} : { parentConfig: storedConfig(config, parentId) }),
        pendingWrites: [],
      }));
      for (const early of this.#early)
        if (early.checkpointId === checkpoint.id) this.#head.addWrites(early.writes, early.taskId);
      // Several checkpoints may be under way: writes of those that are still to come are kept.
      this.#early = this.#early.filter((early) => early.checkpointId !== checkpoint.id);
      this.#past.add(checkpoint.id);
    }
    return stored;
  }

  override async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
    taskPath = "",
  ): Promise<void> {
    const rows = this.writeRows(config, writes, taskId, taskPath);
    await this.#write(rows);
    const { ns, checkpointId } = addressOf(config);
    if (ns !== "") return;
    if (this.#head?.checkpointId === checkpointId) this.#head?.addWrites(writes, taskId);
    else if (checkpointId !== undefined && !this.#past.has(checkpointId))
      this.#early.push({ checkpointId, writes, taskId });
  }
}

/**
 * A checkpoint with the writes that were stored on it since. Each read makes it anew: LangGraph changes the checkpoint and
 * the list of writes that it is given, so what one reader got must not be given to the next.
 */
class HeadCheckpoint {
  readonly checkpointId: string;
  readonly #load: (threadId: string) => Promise<CheckpointTuple>;
  readonly #added: [taskId: string, i: number, channel: string, value: unknown][] = [];

  constructor(checkpointId: string, load: (threadId: string) => Promise<CheckpointTuple>) {
    this.checkpointId = checkpointId;
    this.#load = load;
  }

  addWrites(writes: PendingWrite[], taskId: string): void {
    writes.forEach(([channel, value], i) => this.#added.push([taskId, i, channel, value]));
  }

  async read(threadId: string): Promise<CheckpointTuple> {
    const tuple = await this.#load(threadId);
    return { ...tuple, pendingWrites: this.#merge(tuple.pendingWrites ?? []) };
  }

  /** Keyed as in Postgres: by task and position, special channels by fixed positions. */
  #merge(stored: NonNullable<CheckpointTuple["pendingWrites"]>): NonNullable<CheckpointTuple["pendingWrites"]> {
    const writes = new Map<string, [string, string, unknown]>();
    const set = (taskId: string, i: number, channel: string, value: unknown) =>
      writes.set(`${taskId}\0${WRITES_IDX_MAP[channel] ?? i}`, [taskId, channel, value]);
    const positions = new Map<string, number>();
    for (const [taskId, channel, value] of stored) {
      const i = positions.get(taskId) ?? 0;
      if (!(channel in WRITES_IDX_MAP)) positions.set(taskId, i + 1);
      set(taskId, i, channel, value);
    }
    for (const [taskId, i, channel, value] of this.#added) set(taskId, i, channel, value);
    return [...writes.values()];
  }
}
