import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { Client } from "langgraph-sdk-1";
import { generateKey } from "@flotilla/shared/access/api-key";
import { insertApiKey } from "@flotilla/shared/access/api-key-queries";
import { EXPIRING_GRAPHS, TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { Stack, startStack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";
import { SDKS } from "./sdk.ts";

// Time to live of threads, AGENT_SERVER_API sections 4 and 14. The server's default keeps the newest state three seconds after the
// last change; two gateways sweep three times a second.

const DEFAULT = { strategy: "keep_latest", ttl_minutes: 0.05 };

let database: TestDatabase;
let url: string;
let gateways: TestClient[];
let headers: { ann: Record<string, string>; bob: Record<string, string> };
let ann: TestClient;
let bob: TestClient;

beforeAll(async () => {
  database = await createTestDatabase();
  headers = { ann: await makeKey("ann"), bob: await makeKey("bob") };
  const { stack, gateway } = await startStack({ databaseUrl: database.url, config: EXPIRING_GRAPHS });
  const second = await stack.startGateway();
  url = gateway.url;
  ann = new TestClient(url, headers.ann);
  bob = new TestClient(url, headers.bob);
  gateways = [ann, new TestClient(second.url, headers.ann)];
});

async function makeKey(tenantId: string): Promise<Record<string, string>> {
  const { key, prefix, hash } = generateKey();
  await insertApiKey(database.pool, { keyId: randomUUID(), tenantId, name: tenantId, prefix, hash });
  return { "x-api-key": key };
}

const steps = (n: number, more = {}) => ({ inputs: ["in"], steps: n, ...more });
const statusOf = async (threadId: string, client = ann) => (await client.get(`/threads/${threadId}`)).status;
const historyOf = async (threadId: string) =>
  (await ann.get(`/threads/${threadId}/history?limit=100`)).body as unknown[];
const reduced = (threadId: string) => eventually(async () => (await historyOf(threadId)).length === 1);

/** Sweeps that a gateway has done, and that it has left to the other. */
async function sweepsOf(gateway: TestClient): Promise<{ done: number; left: number }> {
  const text = (await gateway.get("/metrics")).body as string;
  const turns = (outcome: string) =>
    Number(
      new RegExp(`flotilla_duty_turns_total{duty="expire threads",outcome="${outcome}"} (\\d+)`).exec(text)?.[1] ?? 0,
    );
  return { done: turns("done"), left: turns("left") };
}

/** Resolves when a sweep has begun after now, and ended. */
async function nextSweep(): Promise<void> {
  const done = async () => (await Promise.all(gateways.map(sweepsOf))).reduce((sum, one) => sum + one.done, 0);
  const before = await done();
  await eventually(async () => (await done()) >= before + 2 * gateways.length);
}

describe.each(SDKS)("SDK $version", ({ version, connect }) => {
  let client: Client;
  beforeAll(() => {
    client = connect(url, headers.ann);
  });

  test("a time to live is set with a thread and changed later, and shown when it is asked for", async () => {
    const { thread_id: number } = await client.threads.create({ ttl: 90 });
    const made = await client.threads.create({ ttl: { ttl: 60, strategy: "keep_latest" as "delete" } });
    expect(made).not.toHaveProperty("ttl");
    // 2.0.0 cannot ask for it.
    const ttlOf = async (threadId: string): Promise<unknown> =>
      version === "1.15.0"
        ? client.threads.get(threadId, { include: ["ttl"] })
        : (await ann.get(`/threads/${threadId}?include=ttl`)).body;
    expect(await ttlOf(number)).toMatchObject({ ttl: { strategy: "delete", ttl_minutes: 90 } });
    expect(await ttlOf(made.thread_id)).toEqual({
      ...made,
      ttl: {
        strategy: "keep_latest",
        ttl_minutes: 60,
        expires_at: new Date(Date.parse(made.updated_at) + 3_600_000).toISOString(),
      },
    });
    await client.threads.update(made.thread_id, { ttl: 5 });
    expect(await ttlOf(made.thread_id)).toMatchObject({ ttl: { strategy: "delete", ttl_minutes: 5 } });
    await client.threads.update(made.thread_id, { metadata: { a: 1 } });
    expect(await ttlOf(made.thread_id)).toMatchObject({ ttl: { ttl_minutes: 5 }, metadata: { a: 1 } });
  });

  test("a thread is erased when its time has come, with all that it left, and not one that lives longer", async () => {
    const { thread_id: short } = await client.threads.create({ ttl: 0.01 });
    const { thread_id: long } = await client.threads.create({ ttl: 60 });
    const { run_id: run } = await client.runs.create(short, "steps", { input: steps(2) });
    await client.runs.wait(long, "steps", { input: steps(2) });
    const full = await historyOf(long);
    await eventually(async () => (await statusOf(short)) === 404);
    for (const table of ["checkpoints", "checkpoint_blobs", "checkpoint_writes"]) {
      const { rows } = await database.pool.query(`select 1 from ${table} where thread_id = $1`, [`ann/${short}`]);
      expect([table, rows]).toEqual([table, []]);
    }
    expect((await database.pool.query("select 1 from runs where run_id = $1", [run])).rows).toEqual([]);
    expect((await ann.get(`/threads/${short}/runs/${run}/stream`, { "last-event-id": "-1" })).status).toBe(404);
    await nextSweep();
    expect(await historyOf(long)).toEqual(full);
  });

  test("a question that waits, in a subgraph too, is answered after all but the newest state has gone", async () => {
    const waiting = async (graph: string, input: Record<string, unknown>) => {
      const { thread_id: thread } = await client.threads.create();
      await client.runs.wait(thread, graph, { input });
      const before = await client.threads.get(thread);
      await reduced(thread);
      expect(await client.threads.get(thread)).toEqual(before);
      expect(before.status).toBe("interrupted");
      return thread;
    };
    const [inside, plain] = await Promise.all([waiting("ask_inside", { log: [] }), waiting("ask", { question: "q" })]);
    const answered = await client.runs.wait(inside, "ask_inside", { command: { resume: "yes" } });
    expect(answered).toMatchObject({ log: expect.arrayContaining(["begun", "prepared", "yes"]) as unknown });
    expect(await client.runs.wait(plain, "ask", { command: { resume: 0 } })).toMatchObject({ answers: [{ got: 0 }] });
  });
});

test("threads that runs make have the server's default, in both dialects; those that are there keep what they have", async () => {
  const ttlOf = async (threadId: string) =>
    (await ann.get(`/threads/${threadId}?include=other,ttl`)).body.ttl as unknown;
  const input = steps(1);
  const small = (await ann.post("/graphs/steps/invoke", { input })).body.thread_id as string;
  const { body: run } = await ann.post(`/threads/${randomUUID()}/runs`, {
    assistant_id: "steps",
    input,
    if_not_exists: "create",
  });
  const { body: kept } = await ann.post("/runs", { assistant_id: "steps", input, on_completion: "keep" });
  const { body: made } = await ann.post("/threads");
  for (const threadId of [small, run.thread_id, kept.thread_id, made.thread_id] as string[])
    expect(await ttlOf(threadId)).toMatchObject(DEFAULT);

  const { body: own } = await ann.post("/threads", { ttl: { ttl: 60 } });
  await database.pool.query("insert into threads (tenant_id, thread_id) values ('ann', 'older')"); // before there was a default
  for (const [threadId, ttl] of [
    [own.thread_id as string, { strategy: "delete", ttl_minutes: 60, expires_at: expect.any(String) as string }],
    ["older", null],
  ] as const) {
    expect((await ann.post("/graphs/steps/invoke?wait=30", { thread_id: threadId, input })).body.status).toBe(
      "success",
    );
    expect(await ttlOf(threadId)).toEqual(ttl);
  }
});

test("by default all but the newest state goes; each run restarts the time, and nothing is reduced twice", async () => {
  const threadId = "kept";
  const run = (text: string) =>
    ann.post("/graphs/steps/invoke?wait=30", { thread_id: threadId, input: steps(3, { inputs: [text] }) });
  await run("x");
  expect((await historyOf(threadId)).length).toBeGreaterThan(3);
  const before = (await ann.get(`/threads/${threadId}`)).body;
  await reduced(threadId);
  expect((await ann.get(`/threads/${threadId}`)).body).toEqual(before);

  const keptAt = async () =>
    (await database.pool.query("select kept_latest_at from threads where thread_id = $1", [threadId])).rows[0]
      .kept_latest_at as Date;
  const first = await keptAt();
  await nextSweep();
  expect(await keptAt()).toEqual(first);
  await run("y");
  expect((await historyOf(threadId)).length).toBeGreaterThan(3);
  await reduced(threadId);
  expect((await ann.get(`/threads/${threadId}`)).body.values.log).toEqual([1, 2, 3, 4, 5, 6]);
});

test("a thread with a run in flight is left alone however long it takes, and so is a run that waits for its time", async () => {
  const ttl = { ttl: 0.01, strategy: "delete" };
  const make = async () => (await ann.post("/threads", { ttl })).body.thread_id as string;
  const [busy, delayed] = [await make(), await make()];
  const submit = (threadId: string, more: object) =>
    ann.post(`/threads/${threadId}/runs`, { assistant_id: "steps", ...more });
  const { body: run } = await submit(busy, { input: steps(1, { delay_ms: 60_000 }) });
  const { body: later } = await submit(delayed, { input: steps(1), after_seconds: 3_600 });
  const idle = await make();
  await eventually(async () => (await statusOf(idle)) === 404); // it was made last
  await nextSweep();
  expect((await ann.get(`/threads/${busy}/runs/${run.run_id}`)).body.status).toBe("running");
  expect((await ann.get(`/threads/${delayed}/runs/${later.run_id}`)).body.status).toBe("pending");
  await ann.post(`/threads/${busy}/runs/${run.run_id}/cancel?wait=1`);
  await ann.post(`/threads/${delayed}/runs/${later.run_id}/cancel?wait=1`);
  for (const threadId of [busy, delayed]) await eventually(async () => (await statusOf(threadId)) === 404);
});

test("the thread of another tenant stays, also under the same name, and so does what nobody gave a time to live", async () => {
  await bob.post("/threads", { thread_id: "same-name", ttl: 60 });
  await bob.post("/graphs/steps/invoke?wait=30", { thread_id: "same-name", input: steps(2) });
  await database.pool.query(
    "insert into threads (tenant_id, thread_id, updated_at) values ('bob', 'for-ever', '2020-01-01')",
  );
  const before = (await bob.get("/graphs/steps/history?thread_id=same-name")).body;
  await ann.post("/threads", { thread_id: "same-name", ttl: 0.01 });
  await ann.post("/graphs/steps/invoke?wait=30", { thread_id: "same-name", input: steps(2) });
  await eventually(async () => (await statusOf("same-name")) === 404);
  expect((await bob.get("/graphs/steps/history?thread_id=same-name")).body).toEqual(before);
  expect(await statusOf("for-ever", bob)).toBe(200);
});

test("of several gateways one sweeps at a time", async () => {
  const sweeper = await database.pool.connect();
  await sweeper.query("begin");
  await sweeper.query("select pg_advisory_xact_lock(72018944, 8)"); // as a gateway in the middle of its turn
  const before = await Promise.all(gateways.map(sweepsOf));
  const threadId = (await ann.post("/threads", { ttl: 0.0001 })).body.thread_id as string;
  const ago = "update threads set updated_at = now() - interval '1 hour' where thread_id = $1";
  await database.pool.query(ago, [threadId]);
  await eventually(async () =>
    (await Promise.all(gateways.map(sweepsOf))).every(({ left }, i) => left >= (before[i]?.left ?? 0) + 2),
  );
  expect(await statusOf(threadId)).toBe(200);
  await sweeper.query("rollback");
  sweeper.release();
  await eventually(async () => (await statusOf(threadId)) === 404);
});

test.each([
  ["of nothing", 0],
  ["that is negative", -1],
  ["of a thousand years", 5.3e8],
  ["beyond all numbers", 1e308],
  ["as a text", "60"],
  ["that is no number", "NaN"],
  ["without a number", {}],
  ["in an object, negative", { ttl: -0.5 }],
  ["in an object, as a text", { ttl: "Infinity" }],
  ["with a strategy that there is not", { ttl: 5, strategy: "forget" }],
  ["in a list", [5]],
  ["that is true", true],
])("a time to live %s is 422, and nothing is made or changed", async (_what, ttl) => {
  const threadId = randomUUID();
  expect(await ann.post("/threads", { thread_id: threadId, ttl })).toMatchObject({ status: 422 });
  expect(await statusOf(threadId)).toBe(404);
  await ann.post("/threads", { thread_id: threadId, ttl: 60 });
  const patch = await ann.send("PATCH", `/threads/${threadId}`, JSON.stringify({ ttl, metadata: { a: 1 } }), {});
  expect(patch).toMatchObject({ status: 422 });
  const { body } = await ann.get(`/threads/${threadId}?include=ttl`);
  expect(body).toMatchObject({ metadata: {}, ttl: { ttl_minutes: 60 } });
});

test("numbers that JSON does not know, and those that overflow, are refused", async () => {
  for (const text of ['{"ttl": NaN}', '{"ttl": Infinity}', '{"ttl": 1e999}', '{"ttl": {"ttl": -1e999}}'])
    expect([400, 422]).toContain((await ann.send("POST", "/threads", text, {})).status);
});

test("without checkpointer.ttl threads stay, and a wrong one stops gateways and workers at start with the reason", async () => {
  const plain = await createTestDatabase();
  const { gateway } = await startStack({ databaseUrl: plain.url, config: TEST_GRAPHS, workers: 0 });
  const client = new TestClient(gateway.url);
  const { body: run } = await client.post("/graphs/steps/invoke", { input: steps(1) });
  expect((await client.get(`/threads/${run.thread_id}?include=ttl`)).body.ttl).toBeNull();

  const folder = await mkdtemp(join(tmpdir(), "flotilla-ttl-"));
  try {
    const config = join(folder, "langgraph.json");
    const ttl = { strategy: "forget", default_ttl: -5, sweep_interval_minutes: "often" };
    await writeFile(config, JSON.stringify({ graphs: {}, checkpointer: { ttl } }));
    const stack = new Stack({ databaseUrl: plain.url, config });
    for (const start of [() => stack.startGateway(), () => stack.startWorker()]) {
      const words = await start().then(
        () => "it started",
        (error: unknown) => String(error),
      );
      for (const key of ["strategy", "default_ttl", "sweep_interval_minutes"])
        expect(words).toContain(`checkpointer.ttl.${key}`);
      expect(words).toContain(config);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
