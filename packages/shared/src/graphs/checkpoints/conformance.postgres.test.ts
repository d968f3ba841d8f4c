import type { RunnableConfig } from "@langchain/core/runnables";
import type { CheckpointListOptions, CheckpointTuple } from "@langchain/langgraph-checkpoint";
import type { CheckpointSaverTestInitializer } from "@langchain/langgraph-checkpoint-validation";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase } from "../../../../../test/support/database.ts";
import { startHeldRun } from "../../../../../test/failure/support/runs.ts";
import { FencedSaver, type FencedSaverOptions } from "./fenced-saver.ts";
import { GroupWriter } from "./group-writer.ts";
import { EditSaver, ThreadSaver } from "./thread-saver.ts";

/** The suite also lists the checkpoints of all threads at once; our savers refuse that: tenants share the tables. */
const each = (cases: { thread_id?: string }[]) =>
  it.each(cases.filter((one) => !("thread_id" in one) || one.thread_id !== undefined));

// LangGraph's own validation of checkpoint savers, against both of ours. It expects the globals of a test runner.
Object.assign(globalThis, {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it: Object.assign(it.bind(null), it, { each }),
});
const { deltaChannelHistoryTests, specTest } = await import("@langchain/langgraph-checkpoint-validation");
// Without deleteThread: threads go with their runs (delete_thread), never through a saver.
const methods: Parameters<typeof specTest>[1] = ["put", "putWrites", "getTuple", "list"];

const { pool } = await createTestDatabase();
const client = await pool.connect();
afterAll(() => client.release());
const empty = () => pool.query("truncate checkpoints, checkpoint_blobs, checkpoint_writes");

const editSaver = {
  checkpointerName: "EditSaver",
  createCheckpointer: async () => {
    await empty();
    return new EditSaver(client, "default");
  },
};

const fencedSaver = {
  checkpointerName: "FencedSaver",
  createCheckpointer: async () => {
    await empty();
    const run = await startHeldRun(pool);
    return new PlainFencedSaver({
      pool,
      writer: new GroupWriter({ pool }),
      tenantId: "default",
      fence: { runId: run.run_id, attempt: run.attempt },
      signal: new AbortController().signal,
      metadata: {},
      latest: undefined,
    });
  },
};

/**
 * The saver of a run, read as another worker would read: from the rows, not from the saver's memory of its own thread (the
 * suite writes to several through one saver). What the server adds to the metadata is taken off again, since the suite
 * compares it.
 */
class PlainFencedSaver extends FencedSaver {
  readonly #reader: ThreadSaver;

  constructor(options: FencedSaverOptions) {
    super(options);
    this.#reader = new ThreadSaver(options.pool, options.tenantId, options.fence.runId);
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const tuple = await this.#reader.getTuple(config);
    return tuple && withoutRun(tuple);
  }

  override async *list(config: RunnableConfig, options?: CheckpointListOptions): AsyncGenerator<CheckpointTuple> {
    for await (const tuple of this.#reader.list(config, options)) yield withoutRun(tuple);
  }
}

function withoutRun(tuple: CheckpointTuple): CheckpointTuple {
  const {
    run_id: _run,
    attempt: _attempt,
    ...metadata
  } = tuple.metadata as CheckpointTuple["metadata"] & Record<string, unknown>;
  return { ...tuple, metadata };
}

for (const initializer of [editSaver, fencedSaver] satisfies CheckpointSaverTestInitializer<ThreadSaver>[]) {
  specTest<ThreadSaver>(initializer, methods);
  deltaChannelHistoryTests<ThreadSaver>(initializer);
}
