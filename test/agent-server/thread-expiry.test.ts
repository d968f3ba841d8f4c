import { beforeAll, expect, test } from "vitest";
import { EXPIRING_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

// The server's default keeps the newest state three seconds after the last change; it sweeps three times a second.

let database: TestDatabase;
let client: TestClient;

beforeAll(async () => {
  database = await createTestDatabase();
  const { stack, gateway } = await startStack({ databaseUrl: database.url, config: EXPIRING_GRAPHS });
  await stack.startGateway(); // two sweep; each thread is swept by one
  client = new TestClient(gateway.url);
});

const statusOf = async (threadId: string) => (await client.get(`/threads/${threadId}`)).status;
const historyOf = async (threadId: string) => (await client.get(`/threads/${threadId}/history`)).body;
const run = (graph: string, threadId: string, input: unknown) =>
  client.post(`/graphs/${graph}/invoke?wait=30`, { thread_id: threadId, input });

test("a time to live is shown when it is asked for: the thread's own, or else the server's", async () => {
  await client.post("/threads", { thread_id: "own", ttl: { ttl: 60, strategy: "delete" } });
  await client.post("/threads", { thread_id: "number", ttl: 90 });
  await client.post("/threads", { thread_id: "default" });
  expect((await client.get("/threads/own")).body).not.toHaveProperty("ttl");
  const { body } = await client.get("/threads/own?include=other,ttl");
  expect(body.ttl).toEqual({
    strategy: "delete",
    ttl_minutes: 60,
    expires_at: new Date(Date.parse(body.updated_at) + 3_600_000).toISOString(),
  });
  const ttl = async (threadId: string) => (await client.get(`/threads/${threadId}?include=ttl`)).body.ttl;
  expect(await ttl("number")).toMatchObject({ strategy: "delete", ttl_minutes: 90 });
  expect(await ttl("default")).toMatchObject({ strategy: "keep_latest", ttl_minutes: 0.05 });
  const patch = { ttl: { ttl: 5, strategy: "keep_latest" } };
  await client.send("PATCH", "/threads/own", JSON.stringify(patch), {});
  expect(await ttl("own")).toMatchObject({ strategy: "keep_latest", ttl_minutes: 5 });
});

test("a thread is deleted when its time has come, with its checkpoints, and not one that lives longer", async () => {
  await client.post("/threads", { thread_id: "short", ttl: { ttl: 0.02, strategy: "delete" } });
  await client.post("/threads", { thread_id: "long", ttl: { ttl: 60, strategy: "delete" } });
  await run("steps", "short", { inputs: ["x"], steps: 2 });
  await run("steps", "long", { inputs: ["x"], steps: 2 });
  const full = (await historyOf("long")).length;
  await eventually(async () => (await statusOf("short")) === 404);
  const { rows } = await database.pool.query("select 1 from checkpoints where thread_id = 'short'");
  expect(rows).toEqual([]);
  expect(await historyOf("long")).toHaveLength(full);
});

test("by default all but the newest state goes, of threads that runs have made too; each run restarts the time", async () => {
  await run("steps", "kept", { inputs: ["x"], steps: 3 });
  const before = (await client.get("/threads/kept")).body;
  expect((await historyOf("kept")).length).toBeGreaterThan(3);
  await eventually(async () => (await historyOf("kept")).length === 1, { timeoutMs: 15_000 });
  expect((await client.get("/threads/kept")).body).toEqual(before);

  // It is not swept again for nothing, and again after another run.
  const keptAt = async () =>
    (await database.pool.query("select kept_latest_at from threads where thread_id = 'kept'")).rows[0].kept_latest_at;
  const first = (await keptAt()) as Date;
  await run("steps", "kept", { inputs: ["y"], steps: 3 });
  expect((await historyOf("kept")).length).toBeGreaterThan(3);
  expect(await keptAt()).toEqual(first);
  await eventually(async () => (await historyOf("kept")).length === 1, { timeoutMs: 15_000 });
  expect((await client.get("/threads/kept")).body.values.log).toEqual([1, 2, 3, 4, 5, 6]);
});

test("a thread with a run in flight is left alone, however long it takes", async () => {
  await client.post("/threads", { thread_id: "busy", ttl: { ttl: 0.01, strategy: "delete" } });
  const submitted = client.post("/graphs/steps/invoke?wait=30", {
    thread_id: "busy",
    input: { inputs: ["x"], steps: 1, delay_ms: 3_000 },
  });
  expect((await submitted).body).toMatchObject({ status: "success", result: { log: [1] } });
  await eventually(async () => (await statusOf("busy")) === 404);
});

test("a question that waits survives the sweep and is answered after it", async () => {
  await client.post("/threads", { thread_id: "waits", ttl: { ttl: 0.01, strategy: "keep_latest" } });
  await run("ask_inside", "waits", {});
  await eventually(async () => (await historyOf("waits")).length === 1);
  const answered = await client.post("/graphs/ask_inside/resume?wait=30", { thread_id: "waits", resume_data: "yes" });
  expect(answered.body).toMatchObject({ status: "success" });
  expect(answered.body.result.log).toEqual(expect.arrayContaining(["begun", "prepared", "yes"]));
});
