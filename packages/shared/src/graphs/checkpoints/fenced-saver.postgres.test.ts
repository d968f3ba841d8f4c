import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { emptyCheckpoint, uuid6, type Checkpoint, type CheckpointMetadata } from "@langchain/langgraph-checkpoint";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../../../../test/support/database.ts";
import { holdNewRun, openSaver } from "../../../../../test/failure/support/held-saver.ts";
import { holdRun } from "../../../../../test/failure/support/runs.ts";
import { LeaseLost } from "../../errors.ts";
import { ThreadSaver } from "./thread-saver.ts";

const METADATA: CheckpointMetadata = { source: "loop", step: 0, parents: {} };
const checkpoint = (values: Record<string, unknown> = {}, id = uuid6(0)): Checkpoint => ({
  ...emptyCheckpoint(),
  id,
  channel_values: values,
  channel_versions: Object.fromEntries(Object.keys(values).map((channel) => [channel, 1])),
});
const at = (threadId: string, checkpointId?: string) => ({
  configurable: {
    thread_id: threadId,
    checkpoint_ns: "",
    ...(checkpointId === undefined ? {} : { checkpoint_id: checkpointId }),
  },
});

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

const State = Annotation.Root({ log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }) });
const logging = new StateGraph(State)
  .addNode("one", () => ({ log: ["one"] }))
  .addNode("two", () => ({ log: ["two"] }))
  .addEdge(START, "one")
  .addEdge("one", "two")
  .addEdge("two", END);

test("thirty forks of one checkpoint each keep their own values", async () => {
  const { pool } = await createTestDatabase();
  const { run, saver } = await holdNewRun(pool);
  const graph = logging.compile({ checkpointer: saver });
  await graph.invoke({ log: ["origin"] }, at(run.thread_id));
  const origin = (await saver.getTuple(at(run.thread_id)))?.config;

  const forks = [];
  for (let i = 0; i < 30; i++) {
    await graph.invoke({ log: [`fork ${i}`] }, { configurable: { ...origin?.configurable } });
    forks.push((await saver.getTuple(at(run.thread_id)))?.checkpoint.id);
  }

  const reader = new ThreadSaver(pool, "default");
  for (const [i, id] of forks.entries()) {
    const tuple = await reader.getTuple(at(run.thread_id, id));
    expect(tuple?.checkpoint.channel_values["log"]).toEqual(["origin", "one", "two", `fork ${i}`, "one", "two"]);
  }
});

test("what a saver remembers of its thread is what Postgres holds", async () => {
  const { pool } = await createTestDatabase();
  const first = await holdNewRun(pool);
  const { thread_id: threadId, run_id: runId } = first.run;
  const put = await first.saver.put(at(threadId), checkpoint({ a: [1] }), METADATA, { a: 1 });
  await first.saver.putWrites(
    put,
    [
      ["a", 1],
      ["b", 2],
    ],
    "task 1",
  );
  await first.saver.putWrites(put, [["__interrupt__", [{ value: "?" }]]], "task 2");

  await pool.query("update runs set lease_expires_at = now() - interval '1 s' where run_id = $1", [runId]);
  await pool.query("select settle_run($1, 1, 'lost', null, null, null, false, null, null, true, 3)", [runId]);
  const second = openSaver(pool, await holdRun(pool, runId));
  await second.saver.getTuple(at(threadId));
  await second.saver.putWrites(
    put,
    [
      ["a", 1],
      ["b", 3],
    ],
    "task 1",
  );
  await second.saver.putWrites(put, [["__resume__", ["yes"]]], "task 2");

  const remembered = await second.saver.getTuple(at(threadId));
  const stored = await new ThreadSaver(pool, "default", runId).getTuple(at(threadId));
  const sorted = (writes: unknown[] = []) => writes.map((write) => JSON.stringify(write)).sort();
  expect(sorted(remembered?.pendingWrites)).toEqual(sorted(stored?.pendingWrites));
  expect(remembered?.checkpoint).toEqual(stored?.checkpoint);
  expect(remembered?.metadata).toEqual(stored?.metadata);
  expect(remembered?.config).toEqual(stored?.config);
});

test("a write that was stored before its checkpoint is not forgotten when the checkpoint comes, be it not the next one", async () => {
  const { pool } = await createTestDatabase();
  const { run, saver } = await holdNewRun(pool);
  const [first, second, third] = [checkpoint(), checkpoint(), checkpoint()];
  let put = await saver.put(at(run.thread_id), first, METADATA, {});
  await saver.putWrites(at(run.thread_id, third.id), [["__interrupt__", [{ value: "?" }]]], "task");
  put = await saver.put(put, second, METADATA, {});
  await saver.put(put, third, METADATA, {});
  expect((await saver.getTuple(at(run.thread_id)))?.pendingWrites).toEqual([
    ["task", "__interrupt__", [{ value: "?" }]],
  ]);
});

test("the latest checkpoint is the one stored last, also when a clock goes backwards", async () => {
  const { pool } = await createTestDatabase();
  const { run, saver } = await holdNewRun(pool);
  const ids = ["3", "2", "1"].map((n) => `1f000000-0000-6000-8000-00000000000${n}`);
  let parent = at(run.thread_id);
  for (const [i, id] of ids.entries()) {
    parent = (await saver.put(parent, checkpoint({ n: i }, id), { ...METADATA, step: i }, { n: 1 })) as typeof parent;
  }

  const reader = new ThreadSaver(pool, "default");
  expect((await reader.getTuple(at(run.thread_id)))?.checkpoint.id).toBe(ids[2]);
  const listed = await collect(reader.list(at(run.thread_id)));
  expect(listed.map((tuple) => tuple.checkpoint.id)).toEqual(ids.toReversed());
  const before = await collect(reader.list(at(run.thread_id), { before: at(run.thread_id, ids[1]) }));
  expect(before.map((tuple) => tuple.checkpoint.id)).toEqual([ids[0]]);
});

test("a worker that lost its lease can store neither a checkpoint nor a write", async () => {
  const { pool } = await createTestDatabase();
  const { run, saver } = await holdNewRun(pool);
  const put = await saver.put(at(run.thread_id), checkpoint(), METADATA, {});
  await pool.query("update runs set lease_expires_at = now() - interval '1 s' where run_id = $1", [run.run_id]);
  await pool.query("select settle_run($1, 1, 'lost', null, null, null, false, null, null, true, 3)", [run.run_id]);

  await expect(saver.put(put, checkpoint(), METADATA, {})).rejects.toThrow(LeaseLost);
  await expect(saver.putWrites(put, [["a", 1]], "task")).rejects.toThrow(LeaseLost);

  await holdRun(pool, run.run_id);
  await expect(saver.put(put, checkpoint(), METADATA, {})).rejects.toThrow(LeaseLost);
  const { rows } = await pool.query<{ n: number }>(
    "select count(*)::int as n from checkpoints union all select count(*)::int from checkpoint_writes",
  );
  expect(rows.map((row) => row.n)).toEqual([1, 0]);
});

test("a client cannot set the run or the attempt of a checkpoint", async () => {
  const { pool } = await createTestDatabase();
  const { run, saver } = await holdNewRun(pool);
  await saver.put(
    at(run.thread_id),
    checkpoint(),
    { ...METADATA, run_id: "other", attempt: 99 } as CheckpointMetadata,
    {},
  );
  const { rows } = await pool.query(
    "select run_id, metadata ->> 'run_id' as named, metadata -> 'attempt' as attempt from checkpoints",
  );
  expect(rows).toEqual([{ run_id: run.run_id, named: run.run_id, attempt: 1 }]);
});
