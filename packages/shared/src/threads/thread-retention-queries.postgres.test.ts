import { randomUUID } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import {
  findTrimmable,
  listThreadsToTrim,
  trimThread,
  type HistoryRetention,
  type ThreadToTrim,
} from "./thread-retention-queries.ts";

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});

interface Point {
  id: string;
  ns?: string;
  parent?: string;
  v?: number;
  versions?: Record<string, number>;
  metadata?: object;
}

/** A thread with checkpoints, each with a write to a channel and one of sends, and a blob for each of its versions. */
async function makeThread(points: Point[]): Promise<string> {
  const threadId = randomUUID();
  const { pool } = database;
  await pool.query("insert into threads (tenant_id, thread_id) values ('default', $1)", [threadId]);
  for (const { id, ns = "", parent = null, v = 4, versions = {}, metadata = {} } of points) {
    await pool.query(
      `insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
       values ($1, $2, $3, $4, $5, $6)`,
      [threadId, ns, id, parent, JSON.stringify({ v, id, channel_versions: versions }), JSON.stringify(metadata)],
    );
    await pool.query(
      `insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob)
       select $1, $2, $3, 'task', n, (array['x', '__pregel_tasks'])[n], 'json', '1' from generate_series(1, 2) n`,
      [threadId, ns, id],
    );
    await pool.query(
      `insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
       select $1, $2, key, value, 'json', '1' from jsonb_each_text($3) on conflict do nothing`,
      [threadId, ns, JSON.stringify(versions)],
    );
  }
  return threadId;
}

async function leftOf(threadId: string) {
  const list = async (text: string) =>
    (await database.pool.query<{ it: string }>(text, [threadId])).rows.map((row) => row.it);
  return {
    checkpoints: await list(
      "select checkpoint_ns || '/' || checkpoint_id || '<' || coalesce(parent_checkpoint_id, '') as it from checkpoints where thread_id = $1 order by seq",
    ),
    writes: await list(
      "select checkpoint_ns || '/' || checkpoint_id || '.' || channel as it from checkpoint_writes where thread_id = $1 order by 1",
    ),
    blobs: await list(
      "select checkpoint_ns || '/' || channel || '=' || version as it from checkpoint_blobs where thread_id = $1 order by 1",
    ),
  };
}

const addressOf = (threadId: string, keep: number): ThreadToTrim => ({
  tenant_id: "default",
  thread_id: threadId,
  keep,
});

/** Trims until it is done. @returns what the steps said. */
async function trim(threadId: string, keep: number, limit = 1_000): Promise<string[]> {
  const thread = addressOf(threadId, keep);
  const seen = await findTrimmable(database.pool, thread);
  if (seen === undefined) return ["not trimmable"];
  const steps: string[] = [];
  do steps.push(await trimThread(database.pool, thread, seen, limit));
  while (steps.at(-1) === "more");
  return steps;
}

async function isDue(threadId: string, retention: HistoryRetention): Promise<number | undefined> {
  let after = { tenant_id: "", thread_id: "" };
  for (;;) {
    const { threads, next } = await listThreadsToTrim(database.pool, retention, { after, limit: 2 });
    const found = threads.find((thread) => thread.thread_id === threadId);
    if (found !== undefined) return found.keep;
    if (next === undefined) return undefined;
    after = next;
  }
}

const chain = (n: number): Point[] =>
  Array.from({ length: n }, (_, i) => ({
    id: String(i + 1).padStart(3, "0"),
    ...(i === 0 ? {} : { parent: String(i).padStart(3, "0") }),
    versions: { a: i + 1, b: 1 },
  }));

test("the newest checkpoints stay with what they refer to; nothing names a parent that is gone", async () => {
  const threadId = await makeThread(chain(5));
  expect(await trim(threadId, 2)).toEqual(["done"]);
  expect(await leftOf(threadId)).toEqual({
    checkpoints: ["/004<", "/005<004"],
    writes: ["/004.__pregel_tasks", "/004.x", "/005.__pregel_tasks", "/005.x"],
    blobs: ["/a=4", "/a=5", "/b=1"],
  });
});

test("a long history goes in small steps, and after each of them what is left is whole", async () => {
  const threadId = await makeThread(chain(40));
  const thread = addressOf(threadId, 3);
  const seen = (await findTrimmable(database.pool, thread)) as string;
  let steps = 0;
  for (let outcome = "more"; outcome === "more"; steps++) {
    outcome = await trimThread(database.pool, thread, seen, 10);
    const left = await leftOf(threadId);
    const ids = left.checkpoints.map((one) => one.slice(1, 4));
    expect(ids).toEqual(chain(40).map(({ id }) => id).slice(-ids.length)); // prettier-ignore
    for (const id of ids) {
      expect(left.blobs).toContain(`/a=${Number(id)}`);
      expect(left.writes).toContain(`/${id}.x`);
    }
  }
  expect(steps).toBeGreaterThan(6); // 37 checkpoints and 37 blobs
  expect((await leftOf(threadId)).blobs).toEqual(["/a=38", "/a=39", "/a=40", "/b=1"]);
});

test("a fork of an old checkpoint keeps the blobs that it shares with it", async () => {
  const threadId = await makeThread([
    ...chain(4),
    { id: "fork", parent: "001", versions: { a: 1, b: 1, c: 9 } },
    { id: "fork2", parent: "fork", versions: { a: 1, b: 1, c: 10 } },
  ]);
  await trim(threadId, 2);
  expect(await leftOf(threadId)).toMatchObject({
    checkpoints: ["/fork<", "/fork2<fork"],
    blobs: ["/a=1", "/b=1", "/c=10", "/c=9"],
  });
});

test("of subgraphs, what belongs to a checkpoint that stays is left, and what remembers", async () => {
  const threadId = await makeThread([
    { id: "1" },
    { id: "s1", ns: "sub:t1", metadata: { parents: { "": "1" } } },
    { id: "m1", ns: "memory", metadata: { parents: { "": "1" } } },
    { id: "o1", ns: "other", metadata: { parents: { "": "1" } } },
    { id: "2", parent: "1" },
    { id: "s2", ns: "sub:t2", metadata: { parents: { "": "2" } } },
    { id: "d2", ns: "sub:t2|deep:t3", metadata: { parents: { "": "2", "sub:t2": "s2" } } },
    { id: "m2", ns: "memory", parent: "m1", metadata: { parents: { "": "2" } } },
    { id: "3", parent: "2" },
    { id: "m3", ns: "memory", parent: "m2", metadata: { parents: { "": "3" } } },
  ]);
  await trim(threadId, 2);
  const kept = ["other/o1<", "/2<", "sub:t2/s2<", "sub:t2|deep:t3/d2<", "memory/m2<", "/3<2", "memory/m3<m2"];
  expect((await leftOf(threadId)).checkpoints).toEqual(kept);
});

test("a checkpoint of an older format keeps the sends that its parent holds", async () => {
  const threadId = await makeThread(chain(3).map((point) => ({ ...point, v: 3 })));
  await trim(threadId, 1);
  expect(await leftOf(threadId)).toMatchObject({
    checkpoints: ["/003<002"],
    writes: ["/002.__pregel_tasks", "/003.__pregel_tasks", "/003.x"],
  });
});

test("a state that is told as changes since an earlier one keeps all of its history", async () => {
  const told = { id: "2", parent: "1", versions: { a: 2 }, metadata: { counters_since_delta_snapshot: { a: 1 } } };
  const threadId = await makeThread([{ id: "1", versions: { a: 1 } }, told, { id: "3", parent: "2" }]);
  const before = await leftOf(threadId);
  expect(await trim(threadId, 1)).toEqual(["not trimmable"]);
  expect(await leftOf(threadId)).toEqual(before);
});

test("nothing happens to a thread that is held, has a run in flight, or has changed since it was looked at", async () => {
  const threadId = await makeThread(chain(3));
  const { pool } = database;
  const thread = addressOf(threadId, 1);
  const seen = (await findTrimmable(pool, thread)) as string;
  const before = await leftOf(threadId);

  const holder = await pool.connect();
  await holder.query("begin");
  await holder.query("select 1 from threads where thread_id = $1 for update", [threadId]);
  expect(await trimThread(pool, thread, seen, 10)).toBe("in_use");
  await holder.query("rollback");
  holder.release();

  const runId = randomUUID();
  await pool.query(
    `insert into runs (run_id, tenant_id, thread_id, assistant_id, graph_id, kwargs, available_at)
     values ($1, 'default', $2, $1, 'g', '{}', now())`,
    [runId, threadId],
  );
  expect(await trimThread(pool, thread, seen, 10)).toBe("in_use");
  await pool.query("delete from runs where run_id = $1", [runId]);
  await pool.query("update threads set updated_at = clock_timestamp() where thread_id = $1", [threadId]);
  expect(await trimThread(pool, thread, seen, 10)).toBe("in_use");
  expect(await trimThread(pool, { ...thread, tenant_id: "other" }, seen, 10)).toBe("in_use");
  expect(await leftOf(threadId)).toEqual(before);
});

test("due is what is longer than it may be, what has been idle for long, and what a sweep has begun and not ended", async () => {
  const threadId = await makeThread(chain(4));
  const { pool } = database;
  const nothing = { idleDays: undefined, checkpoints: undefined };
  expect(await isDue(threadId, { ...nothing, checkpoints: 4 })).toBeUndefined();
  expect(await isDue(threadId, { ...nothing, checkpoints: 3 })).toBe(3);
  expect(await isDue(threadId, { ...nothing, idleDays: 2 })).toBeUndefined();
  await pool.query("update threads set updated_at = now() - interval '3 days' where thread_id = $1", [threadId]);
  expect(await isDue(threadId, { idleDays: 2, checkpoints: 4 })).toBe(1);

  const thread = addressOf(threadId, 3);
  expect(await trimThread(pool, thread, (await findTrimmable(pool, thread)) as string, 1)).toBe("more");
  expect((await leftOf(threadId)).blobs).toHaveLength(5); // a checkpoint is gone, its blob is not
  expect(await isDue(threadId, { ...nothing, checkpoints: 4 })).toBe(4);
  await trim(threadId, 4);
  expect((await leftOf(threadId)).blobs).toHaveLength(4);
  expect(await isDue(threadId, { ...nothing, checkpoints: 4 })).toBeUndefined();

  await trim(threadId, 1);
  expect(await isDue(threadId, { idleDays: 2, checkpoints: undefined })).toBeUndefined();
});
