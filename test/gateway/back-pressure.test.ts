import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { generateKey } from "@flotilla/shared/access/api-key";
import { insertApiKey } from "@flotilla/shared/access/api-key-queries";
import { readRedisMemory } from "@flotilla/shared/redis/memory";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient, violationsOf, type Answer } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startOwnRedis, type OwnServer } from "../support/own-servers.ts";
import { Stack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

// Too much to do: 503 with Retry-After, and nothing of the submission is anywhere.

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 }); // a busy machine starts processes slowly

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanUp.splice(0).toReversed()) await stop();
});

const steps = (n: number, delayMs: number) => ({
  input: { inputs: ["in"], steps: n, delay_ms: delayMs },
  config: { recursion_limit: 1_000 },
});
const ofAssistant = { assistant_id: "steps", ...steps(1, 0) };

interface Submission {
  path: string;
  body: object;
}

/** One submission of each route that takes them. */
function submissions(threadId: string): Submission[] {
  const made = { ...ofAssistant, if_not_exists: "create" };
  return [
    { path: "/graphs/steps/invoke", body: steps(1, 0) },
    { path: "/graphs/steps/invoke?wait=5", body: { ...steps(1, 0), thread_id: randomUUID() } },
    { path: "/graphs/steps/stream", body: steps(1, 0) },
    { path: "/graphs/ask/resume", body: { thread_id: threadId, resume_data: "yes" } },
    { path: `/threads/${randomUUID()}/runs`, body: made },
    { path: `/threads/${randomUUID()}/runs/stream`, body: made },
    { path: `/threads/${randomUUID()}/runs/wait`, body: made },
    { path: "/runs", body: ofAssistant },
    { path: "/runs/stream", body: ofAssistant },
    { path: "/runs/wait", body: ofAssistant },
    { path: "/runs/batch", body: [ofAssistant, ofAssistant] },
  ];
}

async function contentsOf({ pool }: TestDatabase): Promise<unknown> {
  const { rows } = await pool.query(
    `select (select count(*)::int from threads) as threads, (select count(*)::int from runs) as runs,
            (select count(*)::int from idempotency_keys) as keys`,
  );
  return rows[0];
}

function submit(client: TestClient, { path, body }: Submission, key: string): Promise<Answer> {
  return client.post(path, body, { "idempotency-key": key });
}

/** Submits on every route, with a key each, and sees each of them refused without a trace. @returns how many there were */
async function seeAllRefused(client: TestClient, database: TestDatabase, code: string): Promise<number> {
  const before = await contentsOf(database);
  const replay = { path: `/dead-letters/${randomUUID()}/replay`, body: { from: "start" } };
  const all = [...submissions(randomUUID()), replay];
  const answers = await Promise.all(all.map((submission) => submit(client, submission, randomUUID())));
  for (const [i, { status, body, headers }] of answers.entries()) {
    const submission = all[i] as Submission;
    expect({ path: submission.path, status, body }).toEqual({
      path: submission.path,
      status: 503,
      body: { code, detail: expect.stringMatching(/try again/i) },
    });
    expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    expect(Number(headers.get("retry-after"))).toBeLessThan(60);
  }
  expect(await contentsOf(database)).toEqual(before);
  return all.length;
}

/** Until the gateway has looked: it looks every second. @returns the first answer of the status. */
function untilAnswered(client: TestClient, status: number): Promise<Answer> {
  return eventually(
    async () => {
      const answer = await client.post("/graphs/steps/invoke", steps(1, 0));
      return answer.status === status && answer;
    },
    { timeoutMs: 60_000, everyMs: 200, what: `a submission answered ${status}` },
  );
}

async function refusals(client: TestClient, cause: string): Promise<number> {
  const { body } = await client.get("/metrics");
  return Number(new RegExp(`^flotilla_refused_requests_total\\{cause="${cause}"\\} (\\d+)$`, "m").exec(body)?.[1] ?? 0);
}

const MEGABYTE = 1024 * 1024;

/** Fills Redis up to so many bytes, in pieces: what a value takes depends on the allocator. */
async function fill(redis: Redis, bytes: number): Promise<void> {
  while ((await readRedisMemory(redis)).used < bytes)
    await redis.set(`ballast:${randomUUID()}`, Buffer.alloc(MEGABYTE / 2));
}

describe("Redis has hardly any memory left", () => {
  let database: TestDatabase;
  let server: OwnServer;
  let redis: Redis;
  let stack: Stack;
  let client: TestClient;

  beforeAll(async () => {
    database = await createTestDatabase();
    server = await startOwnRedis();
    redis = new Redis(server.url, { retryStrategy: () => null });
    stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, redisUrl: server.url });
    const [gateway] = await Promise.all([stack.startGateway(), stack.startWorker()]);
    client = new TestClient(gateway.url);
    return async () => {
      redis.disconnect();
      await stack.stop();
    };
  });

  test("submissions are refused; what runs goes on and can be followed, joined, cancelled; with room they are accepted", async () => {
    await redis.config("SET", "maxmemory", 64 * MEGABYTE);
    const running = await client.open("POST", "/graphs/steps/stream", steps(900, 100));
    await running.until(({ event }) => event === "custom");
    const other = (await client.post("/graphs/steps/invoke", steps(900, 100))).body;

    await fill(redis, 0.91 * 64 * MEGABYTE);
    const { headers } = await untilAnswered(client, 503);
    expect(headers.get("content-type")).toContain("application/json");
    await seeAllRefused(client, database, "redis_full");
    expect(await refusals(client, "redis_full")).toBeGreaterThanOrEqual(12);

    expect((await client.get(other.links.run)).body.status).toBe("running");
    expect((await client.get(`/threads/${other.thread_id}/runs`)).body).toHaveLength(1);
    const joined = await client.open("GET", other.links.stream);
    await joined.until(({ event }) => event === "values");
    expect((await client.post(`${other.links.cancel}?wait=1`)).status).toBe(204);
    await joined.rest();
    await running.until(({ event }) => event === "custom");

    await redis.config("SET", "maxmemory", 128 * MEGABYTE);
    const accepted = await untilAnswered(client, 202);
    await eventually(async () => (await client.get(accepted.body.links.run)).body.status === "success", {
      timeoutMs: 60_000,
    });
    await client.post(`${running.runPath}/cancel`);
    expect(violationsOf(await running.rest())).toEqual([]);
  });

  test("to the last byte: what runs comes to its end, and its stream and the queue recover", async () => {
    const running = await client.open("POST", "/graphs/steps/stream", steps(40, 50));
    await running.until(({ event }) => event === "custom");
    await redis.config("SET", "maxmemory", 1); // every write is refused
    await untilAnswered(client, 503);
    await seeAllRefused(client, database, "redis_full");
    await eventually(async () => (await client.get(running.runPath)).body.status === "success", { timeoutMs: 60_000 });

    await redis.config("SET", "maxmemory", 0);
    const events = await running.rest();
    expect(violationsOf(events)).toEqual([]);
    expect(JSON.parse(events.findLast(({ event }) => event === "values")?.data ?? "").log).toHaveLength(40);
    const accepted = await untilAnswered(client, 202);
    await eventually(async () => (await client.get(accepted.body.links.run)).body.status === "success", {
      timeoutMs: 60_000,
    });
  });

  test("a limit in bytes holds for a Redis without one of its own; a Redis that is away refuses nothing", async () => {
    const limit = 72 * MEGABYTE;
    const gateway = await stack.startGateway({ REDIS_MEMORY_LIMIT_BYTES: String(limit) });
    const limited = new TestClient(gateway.url);
    await untilAnswered(limited, 202);
    await fill(redis, limit);
    await untilAnswered(limited, 503);
    await seeAllRefused(limited, database, "redis_full");
    expect((await client.post("/graphs/steps/invoke", steps(1, 0))).status).toBe(202);
    await server.kill();
    await untilAnswered(limited, 202);
  });
});

describe("too many runs are pending", () => {
  async function start(database: TestDatabase, env: Record<string, string>) {
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, env });
    cleanUp.push(() => stack.stop());
    const gateway = await stack.startGateway();
    return { stack, gateway, client: new TestClient(gateway.url) };
  }

  test("of the whole server: submissions are refused until workers have taken some, and cancels help", async () => {
    const database = await createTestDatabase();
    const { stack, client } = await start(database, { MAX_PENDING_RUNS: "5" });
    const first = (await client.post("/graphs/steps/invoke", steps(1, 0))).body;
    for (let i = 0; i < 4; i++) await client.post("/graphs/steps/invoke", steps(1, 0));
    await untilAnswered(client, 503);
    await seeAllRefused(client, database, "too_many_pending_runs");

    const pending = await database.pool.query("select run_id, thread_id from runs where status = 'pending'");
    for (const { run_id, thread_id } of pending.rows.slice(4))
      expect((await client.post(`/threads/${thread_id}/runs/${run_id}/cancel`)).status).toBe(202);
    await untilAnswered(client, 202);

    await stack.startWorker();
    expect((await client.get(`${first.links.run}/join`)).status).toBe(200);
    // A key that was refused is as good as new.
    const key = randomUUID();
    await eventually(
      async () => (await submit(client, { path: "/runs/wait", body: ofAssistant }, key)).status === 200,
      {
        timeoutMs: 60_000,
      },
    );
  });

  test("of one tenant: the others are not affected", async () => {
    const database = await createTestDatabase();
    const keyOf = async (tenantId: string) => {
      const { key, prefix, hash } = generateKey();
      await insertApiKey(database.pool, { keyId: randomUUID(), tenantId, name: tenantId, prefix, hash });
      return { authorization: `Bearer ${key}` };
    };
    const keys = [await keyOf("busy"), await keyOf("quiet")] as const;
    const { gateway } = await start(database, { MAX_PENDING_RUNS_PER_TENANT: "2" });
    const [busy, quiet] = [new TestClient(gateway.url, keys[0]), new TestClient(gateway.url, keys[1])];
    await untilAnswered(busy, 503);
    await seeAllRefused(busy, database, "too_many_pending_runs_of_tenant");
    expect((await quiet.post("/graphs/steps/invoke", steps(1, 0))).status).toBe(202);
  });
});

describe("no connection to Postgres comes free", () => {
  test("submissions are refused after POOL_TIMEOUT_SECS, and accepted when one does", async () => {
    const database = await createTestDatabase();
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
    cleanUp.push(() => stack.stop());
    const gateway = await stack.startGateway({ POOL_MIN_SIZE: "0", POOL_MAX_SIZE: "2", POOL_TIMEOUT_SECS: "1" });
    const client = new TestClient(gateway.url);
    const blocker = await database.pool.connect();
    await blocker.query("begin");
    await blocker.query("lock table assistants in access exclusive mode");
    const blocked = [1, 2].map(() => client.post("/assistants/search"));
    await eventually(async () => {
      const { rows } = await database.pool.query(
        "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return rows.length === 2;
    });
    const refused = await seeAllRefused(client, database, "database_busy");
    await blocker.query("rollback");
    blocker.release();
    expect((await Promise.all(blocked)).map(({ status }) => status)).toEqual([200, 200]);
    await untilAnswered(client, 202);
    expect(await refusals(client, "database_busy")).toBe(refused);
  });
});
