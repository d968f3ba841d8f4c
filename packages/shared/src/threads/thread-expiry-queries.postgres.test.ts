import { randomUUID } from "node:crypto";
import { beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import { createRun } from "../runs/run-queries.ts";
import { expireThread, getThreadTtl, pruneThread } from "./thread-expiry-queries.ts";

// Pruning by rows as other versions of LangGraph leave them; what our own graphs leave is in test/agent-server.

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
    const checkpoint = JSON.stringify({ v, id, channel_versions: versions });
    await pool.query(
      `insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
       values ($1, $2, $3, $4, $5, $6)`,
      [threadId, ns, id, parent, checkpoint, JSON.stringify(metadata)],
    );
    for (const channel of ["x", "__pregel_tasks"]) {
      await pool.query(
        `insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob)
         values ($1, $2, $3, 'task', $4, $5, 'json', '1')`,
        [threadId, ns, id, channel === "x" ? 0 : 1, channel],
      );
    }
    for (const [channel, version] of Object.entries(versions)) {
      await pool.query(
        `insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
         values ($1, $2, $3, $4, 'json', '1') on conflict do nothing`,
        [threadId, ns, channel, version],
      );
    }
  }
  return threadId;
}

async function leftOf(threadId: string) {
  const list = async (text: string) =>
    (await database.pool.query<{ it: string }>(text, [threadId])).rows.map((row) => row.it);
  return {
    checkpoints: await list(
      "select checkpoint_ns || '/' || checkpoint_id || '<' || coalesce(parent_checkpoint_id, '') as it from checkpoints where thread_id = $1 order by 1",
    ),
    writes: await list(
      "select checkpoint_ns || '/' || checkpoint_id || '.' || channel as it from checkpoint_writes where thread_id = $1 order by 1",
    ),
    blobs: await list(
      "select checkpoint_ns || '/' || channel || '=' || version as it from checkpoint_blobs where thread_id = $1 order by 1",
    ),
  };
}

const keepLatest = (threadId: string) => pruneThread(database.pool, "default", threadId, "keep_latest");

test("blobs that the newest state shares with older ones stay; the others go, and no parent is named that is gone", async () => {
  const threadId = await makeThread([
    { id: "1", versions: { a: 1, b: 1 } },
    { id: "2", parent: "1", versions: { a: 2, b: 1 } },
    { id: "3", parent: "2", versions: { a: 3, b: 1 } },
  ]);
  expect(await keepLatest(threadId)).toEqual({ outcome: "kept" });
  expect(await leftOf(threadId)).toEqual({
    checkpoints: ["/3<"],
    writes: ["/3.__pregel_tasks", "/3.x"],
    blobs: ["/a=3", "/b=1"],
  });
});

test("what is newest is decided by the order of storage, not by ids", async () => {
  const threadId = await makeThread([{ id: "9" }, { id: "2", parent: "9" }]);
  await keepLatest(threadId);
  expect((await leftOf(threadId)).checkpoints).toEqual(["/2<"]);
});

test("a checkpoint of an older format keeps the sends that its parent holds", async () => {
  const threadId = await makeThread([
    { id: "1", v: 3 },
    { id: "2", parent: "1", v: 3 },
    { id: "3", parent: "2", v: 3 },
  ]);
  await keepLatest(threadId);
  expect(await leftOf(threadId)).toMatchObject({
    checkpoints: ["/3<2"],
    writes: ["/2.__pregel_tasks", "/3.__pregel_tasks", "/3.x"],
  });
});

test("a state that is told as changes keeps its ancestors, also when the newest checkpoint does not say so", async () => {
  for (const metadata of [{ delta_writes_versioned: true }, {}]) {
    const threadId = await makeThread([
      { id: "1", versions: { a: 1 } },
      { id: "2", parent: "1", versions: { a: 2 }, metadata: { counters_since_delta_snapshot: { a: 1 } } },
      { id: "3", parent: "2", versions: { a: 2 }, metadata },
    ]);
    const before = await leftOf(threadId);
    await keepLatest(threadId);
    expect(await leftOf(threadId)).toEqual(before);
  }
});

test("of subgraphs, those of the newest step stay, at any depth, and those that remember", async () => {
  const threadId = await makeThread([
    { id: "1" },
    { id: "s1", ns: "sub:t1", metadata: { parents: { "": "1" } } },
    { id: "2", parent: "1" },
    { id: "s2", ns: "sub:t2", metadata: { parents: { "": "2" } } },
    { id: "d1", ns: "sub:t2|deep:t3", metadata: { parents: { "": "2", "sub:t2": "s2" } } },
    { id: "d2", ns: "sub:t2|deep:t3", parent: "d1", metadata: { parents: { "": "2", "sub:t2": "s2" } } },
    { id: "m1", ns: "memory", metadata: { parents: { "": "1" } } },
    { id: "m2", ns: "memory", parent: "m1", metadata: { parents: { "": "1" } } },
  ]);
  await keepLatest(threadId);
  expect((await leftOf(threadId)).checkpoints.sort()).toEqual([
    "/2<",
    "memory/m2<",
    "sub:t2/s2<",
    "sub:t2|deep:t3/d2<",
  ]);
});

test("a sweep does nothing to a thread whose time has not come, or that is in use", async () => {
  const threadId = await makeThread([{ id: "1" }]);
  const { pool } = database;
  const sweep = () => expireThread(pool, "default", threadId);
  const age = (interval: string) =>
    pool.query(
      `update threads set ttl_minutes = 10, ttl_strategy = 'delete', updated_at = now() - $2::interval where thread_id = $1`,
      [threadId, interval],
    );
  expect(await sweep()).toEqual({ outcome: "in_use" }); // it has no time to live
  await age("9 minutes");
  expect(await sweep()).toEqual({ outcome: "in_use" });
  await age("11 minutes");
  expect(await expireThread(pool, "other", threadId)).toEqual({ outcome: "in_use" });

  const client = await pool.connect();
  await client.query("begin");
  await client.query("select 1 from threads where thread_id = $1 for update", [threadId]);
  expect(await sweep()).toEqual({ outcome: "in_use" });
  await client.query("rollback");
  client.release();

  expect(await sweep()).toEqual({ outcome: "deleted", run_ids: [], next: null });
  expect(await leftOf(threadId)).toEqual({ checkpoints: [], writes: [], blobs: [] });
  expect(await sweep()).toEqual({ outcome: "in_use" });
});

test("a thread that was reduced is reduced again only after a change", async () => {
  const threadId = await makeThread([{ id: "1" }, { id: "2" }]);
  const { pool } = database;
  await pool.query(
    `update threads set ttl_minutes = 10, ttl_strategy = 'keep_latest', updated_at = now() - interval '1 day' where thread_id = $1`,
    [threadId],
  );
  expect(await expireThread(pool, "default", threadId)).toEqual({ outcome: "kept" });
  expect(await expireThread(pool, "default", threadId)).toEqual({ outcome: "in_use" });
  await pool.query(
    `update threads set updated_at = now() - interval '11 minutes', kept_latest_at = now() - interval '1 hour' where thread_id = $1`,
    [threadId],
  );
  expect(await expireThread(pool, "default", threadId)).toEqual({ outcome: "kept" });
});

test("the time to live that comes with a run is that of the thread it makes, and of no other of that connection", async () => {
  const client = await database.pool.connect();
  const submit = async (threadId: string, threadTtl?: { strategy: "delete" | "keep_latest"; minutes: number }) => {
    const runId = randomUUID();
    const outcome = await createRun(client, {
      tenantId: "default",
      threadId,
      threadMustExist: false,
      temporary: false,
      threadTtl,
      bindGraph: true,
      runId,
      assistantId: randomUUID(),
      graphId: "g",
      kwargs: { input: {}, stream_mode: ["values"] },
      metadata: {},
      assistantMetadata: undefined,
      threadMetadata: {},
      strategy: "enqueue",
      delaySeconds: 0,
      resume: undefined,
      idempotency: undefined,
    });
    expect(outcome.outcome).toBe("created");
    return (await getThreadTtl(client, "default", threadId)) as unknown;
  };
  const [first, second, third] = [randomUUID(), randomUUID(), randomUUID()];
  expect(await submit(first, { strategy: "keep_latest", minutes: 1e-7 })).toMatchObject({
    strategy: "keep_latest",
    ttl_minutes: 1e-7,
  });
  expect(await submit(second)).toBeNull();
  expect(await submit(second, { strategy: "delete", minutes: 5 })).toBeNull(); // it is there already
  await client.query("insert into threads (tenant_id, thread_id) values ('default', $1)", [third]);
  expect(await getThreadTtl(client, "default", third)).toBeNull();
  client.release();
});

test("nobody prunes the thread of another tenant, nor that of a run without one", async () => {
  const threadId = await makeThread([{ id: "1" }]);
  const { pool } = database;
  expect(await pruneThread(pool, "other", threadId, "delete")).toEqual({ outcome: "missing" });
  await pool.query(
    `update threads set temporary = true, ttl_minutes = 1, ttl_strategy = 'delete', updated_at = now() - interval '1 day' where thread_id = $1`,
    [threadId],
  );
  expect(await pruneThread(pool, "default", threadId, "delete")).toEqual({ outcome: "missing" });
  expect(await expireThread(pool, "default", threadId)).toEqual({ outcome: "in_use" });
  expect((await leftOf(threadId)).checkpoints).toEqual(["/1<"]);
});
