import { beforeAll, expect, test, vi } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { Stack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

// Sweeps of a real gateway over what real graphs have left; their rules are tested beside their files.

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 }); // a busy machine starts processes slowly

let database: TestDatabase;
let stack: Stack;
let client: TestClient;

beforeAll(async () => {
  database = await createTestDatabase();
  stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
  const [gateway] = await Promise.all([
    stack.startGateway({ RETENTION_INTERVAL_SECS: "1", CHECKPOINT_HISTORY_LIMIT: "3", RUN_RETENTION_DAYS: "1" }),
    stack.startWorker(),
  ]);
  client = new TestClient(gateway.url);
});

const step = (threadId?: string) =>
  client.post("/graphs/steps/invoke?wait=60", {
    input: { inputs: ["in"], steps: 5, delay_ms: 1 },
    thread_id: threadId,
  });
const historyOf = async (graph: string, threadId: string) =>
  (await client.get(`/graphs/${graph}/history?thread_id=${threadId}&limit=100`)).body.history as {
    checkpoint_id: string;
    values: object;
  }[];
const eventuallyTrimmed = (graph: string, threadId: string) =>
  eventually(async () => (await historyOf(graph, threadId)).length === 3, {
    timeoutMs: 60_000,
    what: "a short history",
  });

test("a thread keeps its newest checkpoints, whole, and goes on from them and from each of them", async () => {
  const { thread_id: threadId } = (await step()).body;
  await eventuallyTrimmed("steps", threadId);
  const history = await historyOf("steps", threadId);
  expect(history.map(({ values }) => values)).toMatchObject([
    { inputs: ["in"], log: [1, 2, 3, 4, 5] },
    { inputs: ["in"], log: [1, 2, 3, 4] },
    { inputs: ["in"], log: [1, 2, 3] },
  ]);
  expect((await step(threadId)).body.result).toMatchObject({ inputs: ["in", "in"], log: { length: 10 } });

  await eventuallyTrimmed("steps", threadId);
  const again = await client.post("/graphs/steps/invoke?wait=60", {
    input: null,
    thread_id: threadId,
    checkpoint_id: (await historyOf("steps", threadId)).at(-1)?.checkpoint_id,
  });
  expect(again.body).toMatchObject({ status: "success", result: { log: { length: 10 } } });
});

test("a question that waits is still there after its thread was trimmed, and its answer goes on", async () => {
  const { thread_id: threadId } = (await step()).body;
  const asked = await client.post(`/threads/${threadId}/runs/wait`, { assistant_id: "ask", input: {} });
  expect(asked.body.__interrupt__).toHaveLength(1);
  await eventuallyTrimmed("ask", threadId);
  const state = await client.get(`/threads/${threadId}/state`);
  expect(state.body.tasks.flatMap((task: { interrupts: unknown[] }) => task.interrupts)).toHaveLength(1);
  const answered = await client.post(`/threads/${threadId}/runs/wait`, {
    assistant_id: "ask",
    command: { resume: "yes" },
  });
  expect(answered.body).not.toHaveProperty("__interrupt__");
});

test("a run that ended long ago is gone but for the newest of its thread, whose state stays; sizes are measured", async () => {
  const { thread_id: threadId } = (await step()).body;
  const second = (await step(threadId)).body.run_id;
  // A run id tells when the run was made; this one's is a week old.
  await database.pool.query(
    "update runs set run_id = overlay(run_id::text placing '0190' from 1 for 4)::uuid, ended_at = now() - interval '2 days' where thread_id = $1 and run_id <> $2",
    [threadId, second],
  );
  await eventually(async () => (await client.get(`/threads/${threadId}/runs`)).body.length === 1, {
    timeoutMs: 60_000,
  });
  expect((await client.get(`/threads/${threadId}/runs`)).body[0].run_id).toBe(second);
  expect((await client.get(`/threads/${threadId}/state`)).body.values.log).toHaveLength(10);

  const page = String((await client.get("/metrics")).body);
  for (const sample of [
    /^flotilla_swept_total\{what="runs"\} [1-9]/m,
    /^flotilla_swept_total\{what="threads trimmed"\} [1-9]/m,
    /^flotilla_duty_seconds_count\{duty="retain checkpoints"\} [1-9]/m,
    /^flotilla_table_bytes\{table="checkpoint_blobs"\} [1-9]/m,
    /^flotilla_table_rows\{table="runs"\} \d/m,
    /^flotilla_redis_memory_bytes [1-9]/m,
    /^flotilla_event_streams [1-9]/m,
  ])
    expect(page).toMatch(sample);
});
