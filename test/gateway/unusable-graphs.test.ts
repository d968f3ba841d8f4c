import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { beforeAll, describe, expect, test } from "vitest";
import { TEST_GRAPHS, UNUSABLE_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startStack, type Stack, type StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

let database: TestDatabase;
let stack: Stack;
/** Of a gateway that has all graphs, and of one that has lost those of its threads. */
let client: TestClient;
let bereft: TestClient;
let bereftGateway: StackProcess;

beforeAll(async () => {
  database = await createTestDatabase();
  const started = await startStack({ databaseUrl: database.url, config: TEST_GRAPHS });
  stack = started.stack;
  client = new TestClient(started.gateway.url);
  bereftGateway = await stack.startGateway({ FLOTILLA_CONFIG: UNUSABLE_GRAPHS });
  bereft = new TestClient(bereftGateway.url);
});

const INPUTS: Record<string, object> = {
  steps: { inputs: ["in"], steps: 1 },
  echo: { value: 1 },
  ask: { question: "q" },
};

/** An ended run whose values are not those of its thread's row any more. */
async function overtakenRun(graph: string): Promise<{ path: string; runId: string; threadId: string }> {
  const threadId = randomUUID();
  const submission = { thread_id: threadId, input: INPUTS[graph] };
  const first = (await client.post(`/graphs/${graph}/invoke?wait=20`, submission)).body;
  await client.post(`/graphs/${graph}/invoke?wait=20`, submission);
  return { path: `/threads/${threadId}/runs/${first.run_id}`, runId: first.run_id, threadId };
}

const CASES = [
  ["is not there any more", "steps"],
  ["could not be loaded", "echo"],
  ["is made by a factory that fails", "ask"],
] as const;

describe.each(CASES)("a run of a graph that %s", (_name, graph) => {
  test("is joined with an empty state, not waited for", { timeout: 20_000 }, async () => {
    const { path } = await overtakenRun(graph);
    expect(await bereft.get(`${path}/join`)).toMatchObject({ status: 200, body: {} });
    expect((await bereft.post(`${path}/cancel?wait=1`)).status).toBe(204);
  });

  test("streams to an end when its events are gone", { timeout: 20_000 }, async () => {
    const { path, runId } = await overtakenRun(graph);
    const redis = new Redis(stack.redisUrl);
    const keys = (await redis.keys(`${stack.prefix}*`)).filter((key) => key.includes(runId));
    expect(keys.length).toBeGreaterThan(0);
    await redis.del(...keys);
    await redis.quit();
    const events = await bereft.events("GET", `${path}/stream`);
    expect(events.slice(-2).map(({ event }) => event)).toEqual(["values", "end"]);
    expect(events.at(-2)?.data).toBe("{}");
  });
});

test("a run that ended last is joined with the values of its thread's row, whatever became of its graph", async () => {
  const { body } = await client.post("/graphs/steps/invoke?wait=20", { input: INPUTS["steps"] });
  const joined = await bereft.get(`/threads/${body.thread_id}/runs/${body.run_id}/join`);
  expect(joined.body).toMatchObject({ log: [1] });
});

describe.each(CASES.slice(1))("a graph that %s", (_name, graph) => {
  test("is a 503 that names it and shows nothing of the inside; the log does", async () => {
    const { threadId } = await overtakenRun(graph);
    const before = await database.pool.query("select count(*) from runs");
    const answers = [
      await bereft.get(`/graphs/${graph}/state?thread_id=${threadId}`),
      await bereft.get(`/graphs/${graph}/history?thread_id=${threadId}`),
      await bereft.post(`/graphs/${graph}/state`, { thread_id: threadId, values: {} }),
    ];
    // A worker may have what a factory needs: only what cannot be loaded at all is refused at the door.
    if (graph === "echo") {
      for (const path of ["invoke", "stream", "invoke?wait=5"])
        answers.push(await bereft.post(`/graphs/echo/${path}`, { input: {}, thread_id: threadId }));
      answers.push(await bereft.post("/graphs/echo/resume", { thread_id: threadId, resume_data: 1 }));
    }
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 503, body: { code: "graph_not_loaded" } });
      expect(answer.body.detail).toMatch(new RegExp(`"${graph}".*log`));
      expect(JSON.stringify(answer.body)).not.toMatch(/no-such-file|\.ts|no key/);
      expect(answer.headers.get("retry-after")).toBeNull();
    }
    expect((await database.pool.query("select count(*) from runs")).rows).toEqual(before.rows);
    expect(bereftGateway.output()).toMatch(graph === "echo" ? /no-such-file/ : /no key for the model/);
  });
});

describe("a graph that a factory makes", () => {
  const run = async (threadId: string, configurable?: object) => {
    const config = configurable === undefined ? {} : { config: { configurable } };
    return (await client.post("/graphs/made/invoke?wait=20", { thread_id: threadId, input: {}, ...config })).body;
  };

  test("is read and edited with the configurable of the thread's latest run", async () => {
    const threadId = randomUUID();
    const first = await run(threadId, { model: "tiny" });
    await run(threadId, { model: "large" });
    const state = await client.get(`/graphs/made/state?thread_id=${threadId}`);
    expect(state).toMatchObject({ status: 200, body: { values: { said: ["tiny", "large"] } } });
    expect((await client.get(`/graphs/made/history?thread_id=${threadId}`)).body.count).toBe(6);
    const edit = { thread_id: threadId, values: { said: ["edited"] } };
    expect((await client.post("/graphs/made/state", { ...edit, as_node: "tiny" })).status).toBe(422);
    expect((await client.post("/graphs/made/state", { ...edit, as_node: "large" })).status).toBe(200);
    const joined = await client.get(`/threads/${threadId}/runs/${first.run_id}/join`);
    expect(joined.body).toEqual({ said: ["tiny"] });
  });

  test("finds an empty configurable when the run had none", async () => {
    const threadId = randomUUID();
    await run(threadId);
    const state = await client.get(`/graphs/made/state?thread_id=${threadId}`);
    expect(state).toMatchObject({ status: 200, body: { values: { said: ["standard"] } } });
  });
});

test("a cancel is answered, and the next run starts, when the thread's graph cannot be used", async () => {
  const own = await createTestDatabase();
  const { stack: idle, gateway } = await startStack({ databaseUrl: own.url, config: TEST_GRAPHS, workers: 0 });
  const caller = new TestClient(gateway.url);
  const submission = { thread_id: randomUUID(), input: INPUTS["steps"] };
  const first = (await caller.post("/graphs/steps/invoke", submission)).body;
  const second = (await caller.post("/graphs/steps/invoke", submission)).body;
  await own.pool.query("update runs set attempt = 1, started_at = now() where run_id = $1", [first.run_id]);
  await own.pool.query("update threads set graph_id = 'renamed'");
  expect((await caller.post(first.links.cancel)).status).toBe(202);
  expect((await caller.get(first.links.run)).body.status).toBe("interrupted");
  await idle.startWorker();
  await eventually(async () => (await caller.get(second.links.run)).body.status === "success");
});
