import { afterEach, describe, expect, test } from "vitest";
import { migrate } from "@flotilla/shared/postgres/migrate";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient, violationsOf } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { startOwnPostgres, startOwnRedis } from "../support/own-servers.ts";
import { Stack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanUp.splice(0).toReversed()) await stop();
});

const steps = (n: number, delayMs: number) => ({
  input: { inputs: ["in"], steps: n, delay_ms: delayMs },
  config: { recursion_limit: 200 },
});

describe("Redis goes away", () => {
  test("runs are still accepted, what runs goes on, and all ends well when it is back", async () => {
    const database = await createTestDatabase();
    const redis = await startOwnRedis();
    cleanUp.push(() => redis.stop());
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, redisUrl: redis.url });
    cleanUp.push(() => stack.stop());
    const [gateway] = await Promise.all([stack.startGateway(), stack.startWorker()]);
    const client = new TestClient(gateway.url);
    const running = await client.open("POST", "/graphs/steps/stream", steps(30, 100));
    await running.until((event) => event.event === "custom");

    await redis.kill();
    await eventually(async () => (await client.get("/ready")).body.status === "degraded");
    expect((await client.get("/ready")).status).toBe(200);
    const accepted = await Promise.all(
      Array.from({ length: 5 }, () => client.post("/graphs/steps/invoke", steps(2, 1))),
    );
    expect(accepted.map((answer) => answer.status)).toEqual([202, 202, 202, 202, 202]);

    await redis.start();
    expect(violationsOf(await running.rest())).toEqual([]);
    for (const { body } of accepted)
      await eventually(async () => (await client.get(body.links.run)).body.status === "success", { timeoutMs: 20_000 });
    const { rows } = await database.pool.query("select distinct status, attempt from runs");
    expect(rows).toEqual([{ status: "success", attempt: 1 }]);
  });

  test("a stream ends with its final state even when Redis stays away", async () => {
    const database = await createTestDatabase();
    const redis = await startOwnRedis();
    cleanUp.push(() => redis.stop());
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, redisUrl: redis.url });
    cleanUp.push(() => stack.stop());
    const [gateway] = await Promise.all([stack.startGateway(), stack.startWorker()]);
    const stream = await new TestClient(gateway.url).open("POST", "/graphs/steps/stream", steps(10, 100));
    await stream.until((event) => event.event === "custom");
    await redis.kill();
    const events = await stream.rest();
    expect(violationsOf(events)).toEqual([]);
    expect(events.slice(-3).map((event) => event.event)).toEqual(["gap", "values", "end"]);
    expect(JSON.parse(events.at(-2)?.data ?? "").log).toHaveLength(10);
  });
});

describe("Postgres goes away", () => {
  test("no process dies, requests get 503, and the run goes on when it is back", async () => {
    const postgres = await startOwnPostgres();
    cleanUp.push(() => postgres.stop());
    await migrate(postgres.url);
    const stack = new Stack({ databaseUrl: postgres.url, config: TEST_GRAPHS });
    cleanUp.push(() => stack.stop());
    const [gateway, worker] = await Promise.all([stack.startGateway(), stack.startWorker()]);
    const client = new TestClient(gateway.url);
    const stream = await client.open("POST", "/graphs/steps/stream", steps(30, 100));
    await stream.until((event) => event.event === "custom");

    await postgres.kill();
    const refused = await client.post("/graphs/steps/invoke", steps(1, 1));
    expect(refused).toMatchObject({ status: 503, body: { code: "unavailable" } });
    expect((await client.get("/ready")).status).toBe(503);
    expect((await client.get("/health")).status).toBe(200);

    await postgres.start();
    const events = await stream.rest();
    expect(violationsOf(events)).toEqual([]);
    expect(JSON.parse(events.findLast((event) => event.event === "values")?.data ?? "")).toMatchObject({
      inputs: ["in"],
      log: Array.from({ length: 30 }, (_, i) => i + 1),
    });
    expect((await client.post("/graphs/steps/invoke?wait=20", steps(2, 1))).body.status).toBe("success");
    const alive = await Promise.race([gateway.exited, worker.exited, Promise.resolve("alive")]);
    expect(alive).toBe("alive");
  });
});

describe("connections to Postgres are cut", () => {
  test("while a run reads the checkpoints of its subgraphs, and it goes on as if nothing were", async () => {
    const database = await createTestDatabase();
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
    cleanUp.push(() => stack.stop());
    const [gateway] = await Promise.all([stack.startGateway(), stack.startWorker()]);
    const stream = await new TestClient(gateway.url).open("POST", "/graphs/nested_steps/stream", {
      input: { rounds: 8 },
      stream_mode: ["custom", "values"],
      config: { recursion_limit: 100 },
    });
    let cut = 0;
    for (let round = 1; round <= 8; round++) {
      await stream.until((event) => event.event === "custom");
      const { rowCount } = await database.pool.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'flotilla worker'",
      );
      cut += rowCount ?? 0;
    }
    const events = await stream.rest();
    expect(cut).toBeGreaterThanOrEqual(4); // a round may pass between two connections
    expect(violationsOf(events)).toEqual([]);
    expect(JSON.parse(events.findLast((event) => event.event === "values")?.data ?? "").done).toBe(8);
    const { rows } = await database.pool.query("select status, attempt, error from runs");
    expect(rows).toEqual([{ status: "success", attempt: 1, error: null }]);
  });
});

describe("Redis hangs", () => {
  test("runs are accepted and those in progress end, and what was accepted runs when it is back", async () => {
    const database = await createTestDatabase();
    const redis = await startOwnRedis();
    cleanUp.push(() => redis.stop());
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, redisUrl: redis.url });
    cleanUp.push(() => stack.stop());
    const [gateway] = await Promise.all([stack.startGateway(), stack.startWorker()]);
    const client = new TestClient(gateway.url);
    const { body: running } = await client.post("/graphs/steps/invoke", steps(20, 50));
    await eventually(async () => (await client.get(running.links.run)).body.status === "running");

    await redis.kill("SIGSTOP");
    cleanUp.push(() => redis.kill("SIGCONT"));
    const { status, body: accepted } = await client.post("/graphs/steps/invoke", steps(1, 0));
    expect(status).toBe(202);
    await eventually(async () => (await client.get(running.links.run)).body.status === "success", {
      timeoutMs: 20_000,
    });
    expect((await client.get(accepted.links.run)).body.status).toBe("pending");

    await redis.kill("SIGCONT");
    await eventually(async () => (await client.get(accepted.links.run)).body.status === "success", {
      timeoutMs: 30_000,
    });
  });
});

describe("settings", () => {
  test("a run that takes longer than BG_JOB_TIMEOUT_SECS ends as timeout, and its node is told", async () => {
    const database = await createTestDatabase();
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
    cleanUp.push(() => stack.stop());
    const [gateway] = await Promise.all([stack.startGateway(), stack.startWorker({ BG_JOB_TIMEOUT_SECS: "1" })]);
    const client = new TestClient(gateway.url);
    const { body } = await client.post("/graphs/steps/invoke?wait=20", steps(100, 50));
    expect(body).toMatchObject({ status: "timeout", error: { error: "RunTimedOut" } });
    expect(body.result.log.length).toBeGreaterThan(2);
    const next = await client.post("/graphs/steps/invoke?wait=20", {
      input: { inputs: ["more"], steps: 1 },
      thread_id: body.thread_id,
    });
    expect(next.body.status).toBe("success");
  });

  test("everything works without named prepared statements", async () => {
    const database = await createTestDatabase();
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, env: { PREPARED_STATEMENTS: "false" } });
    cleanUp.push(() => stack.stop());
    const [gateway] = await Promise.all([stack.startGateway(), stack.startWorker()]);
    const { body } = await new TestClient(gateway.url).post("/graphs/steps/invoke?wait=20", steps(3, 1));
    expect(body.result.log).toEqual([1, 2, 3]);
    const { rows } = await database.pool.query("select 1 from pg_prepared_statements");
    expect(rows).toEqual([]);
  });

  test("a process refuses to start on a schema that is older than it needs", async () => {
    const database = await createTestDatabase();
    await database.pool.query(
      "delete from schema_migrations where number = (select max(number) from schema_migrations)",
    );
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
    cleanUp.push(() => stack.stop());
    await expect(stack.startWorker()).rejects.toThrow(/npm run migrate/);
    await expect(stack.startGateway()).rejects.toThrow(/npm run migrate/);
  });

  test("a worker says how it is on a port of its own", async () => {
    const database = await createTestDatabase();
    const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
    cleanUp.push(() => stack.stop());
    const [gateway, worker] = await Promise.all([stack.startGateway(), stack.startWorker()]);
    await new TestClient(gateway.url).post("/graphs/steps/invoke?wait=20", steps(2, 1));
    const client = new TestClient(worker.url);
    expect((await client.get("/health")).status).toBe(200);
    expect((await client.get("/ready")).body).toEqual({ status: "ready" });
    expect((await client.get("/nowhere")).status).toBe(404);
    const gatewayMetrics = await eventually(async () => {
      const { body: page } = await new TestClient(gateway.url).get("/metrics");
      return (
        /^flotilla_duty_turns_total\{duty="rescue runs",outcome="(done|left)"\}/m.test(String(page)) && String(page)
      );
    });
    for (const name of [
      "langgraph_requests_total",
      "langgraph_request_latency_seconds_bucket",
      "langgraph_active_threads 0",
      'langgraph_db_pool_size{state="waiting"} 0',
      "flotilla_demand 0",
      "flotilla_oldest_runnable_seconds 0",
      "flotilla_queue_oldest_waiting_seconds 0",
      'flotilla_queue_jobs{queue="runs",state="wait"} 0',
      "flotilla_redis_memory_ratio",
      "flotilla_stream_duration_seconds_count 0",
      "flotilla_sse_connections 0",
      "flotilla_event_loop_lag_seconds",
      'flotilla_build_info{version="',
    ]) {
      expect(gatewayMetrics).toContain(name);
    }
    const { body } = await client.get("/metrics");
    expect(body).toContain('langgraph_graph_executions_total{graph_name="steps",status="success"} 1');
    for (const name of [
      "flotilla_run_queue_wait_seconds_count",
      "flotilla_checkpoint_write_seconds_count",
      'flotilla_run_attempts_total{reason="first"} 1',
      "flotilla_fenced_writes_total 0",
      "flotilla_worker_concurrency 10",
    ]) {
      expect(body).toContain(name);
    }
  });
});
