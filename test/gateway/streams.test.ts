import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { beforeAll, describe, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient, violationsOf } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { Stack, type StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

let database: TestDatabase;
let stack: Stack;
let gateways: [StackProcess, StackProcess];
let client: TestClient;

beforeAll(async () => {
  database = await createTestDatabase();
  stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
  gateways = await Promise.all([stack.startGateway(), stack.startGateway()]);
  client = new TestClient(gateways[0].url);
  await stack.startWorker();
});

const steps = (n: number, delayMs: number) => ({ input: { inputs: ["in"], steps: n, delay_ms: delayMs } });

describe("a run's stream", () => {
  test("joining replays what is kept and follows to the end; Last-Event-ID is exclusive", async () => {
    const whole = await client.events("POST", "/graphs/steps/stream", steps(5, 5));
    expect(violationsOf(whole)).toEqual([]);
    expect(whole.map((event) => event.event)).toEqual([
      "metadata",
      "values",
      ...Array.from({ length: 5 }, () => ["custom", "updates", "values"]).flat(),
      "end",
    ]);
    const { run_id, thread_id } = JSON.parse(whole[0]?.data ?? "") as { run_id: string; thread_id: string };
    const path = `/threads/${thread_id}/runs/${run_id}/stream`;
    expect(await client.events("GET", path)).toEqual(whole);
    expect(await client.events("GET", path, undefined, { "last-event-id": "-1" })).toEqual(whole);
    expect(await client.events("GET", path, undefined, { "last-event-id": whole[6]?.id ?? "" })).toEqual(
      whole.slice(7),
    );
    expect(await client.events("GET", path, undefined, { "last-event-id": whole.at(-1)?.id ?? "" })).toEqual([]);
    const values = await client.events("GET", `${path}?stream_mode=values`);
    expect(new Set(values.map((event) => event.event))).toEqual(new Set(["metadata", "values", "end"]));
  });

  test("a cursor of an attempt that the run never had is taken as the beginning", async () => {
    const whole = await client.events("POST", "/graphs/steps/stream", steps(2, 1));
    const { run_id, thread_id } = JSON.parse(whole[0]?.data ?? "") as { run_id: string; thread_id: string };
    const path = `/threads/${thread_id}/runs/${run_id}/stream`;
    for (const stale of ["2-7", "999-1", "nonsense"]) {
      expect(await client.events("GET", path, undefined, { "last-event-id": stale })).toEqual(whole);
    }
  });

  test("a run that is cancelled before it began ends its stream at once, without a gap", async () => {
    const thread_id = randomUUID();
    const first = await client.post("/graphs/steps/invoke", { ...steps(1, 60_000), thread_id });
    const stream = await client.open("POST", "/graphs/steps/stream", { ...steps(2, 1), thread_id });
    expect((await client.post(`${stream.runPath}/cancel`)).status).toBe(202);
    expect((await stream.rest()).map((event) => event.event)).toEqual(["values", "end"]);
    await client.post(first.body.links.cancel);
  });

  test("a run whose client goes away for good is cancelled when it has asked for that, and not when it comes back", async () => {
    const watch = async (comesBack: boolean) => {
      const { body } = await client.post("/graphs/steps/invoke", steps(20, 400));
      const stream = await client.open("GET", `${body.links.stream}?cancel_on_disconnect=1`);
      await stream.until((event) => event.event === "values");
      stream.close();
      if (comesBack) return (await client.events("GET", body.links.stream)).at(-1);
      return eventually(
        async () => (await client.get(body.links.run)).body.ended_at && (await client.get(body.links.run)).body,
        { timeoutMs: 20_000 },
      );
    };
    const [left, came] = await Promise.all([watch(false), watch(true)]);
    expect(left).toMatchObject({ status: "interrupted" });
    expect(JSON.parse((came as { data: string }).data)).toMatchObject({ status: "success" });
  });

  test("has the headers that proxies and clients need, a retry hint and heartbeats", async () => {
    const response = await fetch(`${client.url}/graphs/steps/stream`, {
      method: "POST",
      body: JSON.stringify(steps(1, 6_000)),
    });
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "text/event-stream",
      "x-accel-buffering": "no",
      "cache-control": expect.stringContaining("no-cache"),
      "content-location": expect.stringMatching(/^\/threads\/[^/]+\/runs\/[^/]+$/),
      location: expect.stringMatching(/\/stream$/),
    });
    const text = await response.text();
    expect(text).toMatch(/^retry: \d+\nid: 1-1\nevent: metadata\n/);
    expect(text).toMatch(/\n\n: heartbeat\n/);
    expect(text.endsWith("\n\n")).toBe(true);
  });

  test("many clients of one run get every event", async () => {
    const first = await client.open("POST", "/graphs/steps/stream", steps(10, 50));
    const others = await Promise.all(
      Array.from({ length: 40 }, (_, i) =>
        new TestClient(gateways[i % 2 === 0 ? 0 : 1].url).events("GET", `${first.runPath}/stream`),
      ),
    );
    const whole = await first.rest();
    for (const events of others) expect(events).toEqual(whole);
  });

  test("a run whose stream has expired ends with a gap, its final state and an end", async () => {
    const { body } = await client.post("/graphs/steps/invoke?wait=20", steps(3, 1));
    const redis = new Redis(stack.redisUrl);
    await redis.del(`${stack.prefix}:events:${body.run_id}`);
    await redis.quit();
    await database.pool.query("update runs set ended_at = ended_at - interval '1 hour' where run_id = $1", [
      body.run_id,
    ]);
    const events = await client.events("GET", `/threads/${body.thread_id}/runs/${body.run_id}/stream`);
    expect(events.map((event) => event.event)).toEqual(["gap", "values", "end"]);
    expect(JSON.parse(events[1]?.data ?? "").log).toEqual([1, 2, 3]);
  });
});
