import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { beforeEach, describe, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient, violationsOf, type OpenStream } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { Stack, type StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

let database: TestDatabase;
let stack: Stack;
let gateways: [StackProcess, StackProcess];
let client: TestClient;

/** Two gateways of their own, and no worker yet. To be used by a hook, which stops them by what this returns. */
async function ownGateways(env: Record<string, string> = {}): Promise<() => Promise<void>> {
  database = await createTestDatabase();
  stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, env });
  gateways = await Promise.all([stack.startGateway(), stack.startGateway()]);
  client = new TestClient(gateways[0].url);
  return () => stack.stop();
}

const steps = (n: number, delayMs: number) => ({ input: { inputs: ["in"], steps: n, delay_ms: delayMs } });

/** Goes on after the last event that `stream` gave, on another gateway. */
const goOn = (other: TestClient, stream: OpenStream) =>
  other.events("GET", `${stream.runPath}/stream`, undefined, { "last-event-id": stream.lastId });

describe("a run's stream, through what happens to processes", () => {
  beforeEach(() => ownGateways());

  test("the stream goes on when the worker that holds the run is killed", async () => {
    const workers = [await stack.startWorker(), await stack.startWorker()];
    const stream = await client.open("POST", "/graphs/steps/stream", steps(20, 100));
    for (let i = 0; i < 12; i++) await stream.next();
    const { rows } = await database.pool.query<{ holder: string }>("select holder from runs where status = 'running'");
    const pid = Number(rows[0]?.holder.split(":")[1]);
    await workers.find((worker) => worker.pid === pid)?.kill("SIGKILL");
    const events = await stream.rest();
    expect(violationsOf(events)).toEqual([]);
    const attempts = events
      .filter((event) => event.event === "metadata")
      .map((event) => JSON.parse(event.data) as { attempt: number; resumed_from?: string });
    expect(attempts).toMatchObject([
      { attempt: 1 },
      { attempt: 2, resumed_from: expect.any(String), previous: expect.stringMatching(/^1-/) },
    ]);
    const values = events.findLast((event) => event.event === "values");
    expect(JSON.parse(values?.data ?? "")).toMatchObject({
      inputs: ["in"],
      log: Array.from({ length: 20 }, (_, i) => i + 1),
    });
  });

  test("a killed gateway costs its clients nothing but a reconnect", async () => {
    await stack.startWorker();
    const streams = await Promise.all(
      Array.from({ length: 10 }, () => client.open("POST", "/graphs/steps/stream", steps(20, 60))),
    );
    await Promise.all(
      streams.map(async (stream) => {
        for (let i = 0; i < 9; i++) await stream.next();
      }),
    );
    await gateways[0].kill("SIGKILL");
    const second = new TestClient(gateways[1].url);
    for (const stream of streams) {
      await stream.rest();
      const events = [...stream.seen, ...(await goOn(second, stream))];
      expect(violationsOf(events)).toEqual([]);
    }
  });

  test("a gateway that is asked to stop ends its streams with a hint, and clients go on elsewhere", async () => {
    await stack.startWorker();
    const stream = await client.open("POST", "/graphs/steps/stream", steps(15, 100));
    for (let i = 0; i < 6; i++) await stream.next();
    const exit = await gateways[0].kill("SIGTERM");
    expect(exit.code).toBe(0);
    await stream.rest();
    expect(stream.seen.at(-1)?.event).not.toBe("end");
    expect(violationsOf([...stream.seen, ...(await goOn(new TestClient(gateways[1].url), stream))])).toEqual([]);
  });

  test("what was trimmed is announced, never skipped in silence", async () => {
    await stack.startWorker({ EVENTS_MAX_COUNT: "10" });
    const { body } = await client.post("/graphs/steps/invoke?wait=20", {
      ...steps(20, 1),
      stream_mode: ["values", "custom"],
    });
    const path = `/threads/${body.thread_id}/runs/${body.run_id}/stream`;
    const events = await client.events("GET", path, undefined, { "last-event-id": "1-3" });
    expect(events.slice(0, 2).map((event) => event.event)).toEqual(["gap", "values"]);
    expect(violationsOf(events)).toEqual([]);
    expect(events.length).toBeLessThan(20);
  });
});

describe("a wiped Redis", () => {
  beforeEach(() => ownGateways());

  test("loses no run: pending, active and streamed ones all end, streams with a gap", async () => {
    const worker = await stack.startWorker({ N_JOBS_PER_WORKER: "3" });
    const streams = await Promise.all(
      Array.from({ length: 3 }, () => client.open("POST", "/graphs/steps/stream", steps(20, 100))),
    );
    await Promise.all(streams.map((stream) => stream.until((event) => event.event === "custom")));
    const pending = await Promise.all(
      Array.from({ length: 50 }, () => client.post("/graphs/steps/invoke", steps(2, 1))), // on the queue, and held behind it
    );
    const redis = new Redis(stack.redisUrl);
    const keys = await redis.keys(`${stack.prefix}*`);
    expect(keys.length).toBeGreaterThan(3);
    await redis.unlink(...keys); // FLUSHALL, for this test's own keys
    await redis.quit();
    for (const stream of streams) {
      const events = await stream.rest();
      expect(violationsOf(events)).toEqual([]);
    }
    for (const { body } of pending)
      await eventually(async () => (await client.get(body.links.run)).body.status === "success", { timeoutMs: 20_000 });
    expect(worker.output()).not.toContain("unexpectedly");
    const { rows } = await database.pool.query(
      "select count(*)::int as n from runs where attempt <> 1 or status <> 'success'",
    );
    expect(rows).toEqual([{ n: 0 }]);
  });
});

describe("a wiped Redis with many runs waiting", () => {
  beforeEach(() => ownGateways({ MAX_QUEUED_RUNS_PER_TENANT: "0" })); // all of them on the queue, more than a sweep looks at once

  /** Until the gateways together have ended so many more sweeps. */
  async function sweeps(more: number): Promise<void> {
    const ended = async () => {
      const pages = await Promise.all(gateways.map(({ url }) => new TestClient(url).get("/metrics")));
      const counts = pages.map(({ body }) =>
        /^flotilla_duty_turns_total\{duty="enqueue stranded runs",outcome="done"\} (\d+)/m.exec(String(body)),
      );
      return counts.reduce((sum, match) => sum + Number(match?.[1] ?? 0), 0);
    };
    const goal = (await ended()) + more;
    await eventually(async () => (await ended()) >= goal, { timeoutMs: 30_000 });
  }

  test("gets each of them again, and the sweep does not repeat itself", async () => {
    const watcher = new Redis(stack.redisUrl);
    await eventually(() => watcher.exists(`${stack.prefix}:marker`)); // the first sweep takes a new Redis for a wiped one
    await watcher.quit();
    const handles = await Promise.all(
      Array.from({ length: 700 }, () => client.post("/graphs/steps/invoke", steps(1, 0))),
    );
    const redis = new Redis(stack.redisUrl);
    await redis.unlink(...(await redis.keys(`${stack.prefix}*`)));
    await eventually(async () => Number((await redis.llen(`${stack.prefix}:runs:wait`)).toString()) >= 700, {
      timeoutMs: 30_000,
    });
    // Once by the request, once after the wipe, and once more for a run that a sweep was about to find just then.
    const mostDispatches = async () =>
      (await database.pool.query<{ most: number }>("select max(dispatch) as most from runs")).rows[0]?.most;
    expect(await mostDispatches()).toBeLessThanOrEqual(3);
    await sweeps(2); // the one under way, and a whole one
    const before = await redis.llen(`${stack.prefix}:runs:wait`);
    expect(before).toBeLessThan(1_400);
    await sweeps(3);
    expect(await redis.llen(`${stack.prefix}:runs:wait`)).toBe(before);
    await redis.quit();
    expect(handles.every((handle) => handle.status === 202)).toBe(true);
  });
});

describe("a slow client", () => {
  beforeEach(() => ownGateways());

  const rss = (pid: number) => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

  test("does not make the gateway remember what it does not take", async () => {
    await stack.startWorker({ EVENTS_MAX_BYTES: String(200 * 1024 * 1024) });
    const warm = await client.events("POST", "/graphs/flood/stream", {
      input: { megabytes: 5, events: 100 },
      stream_mode: ["custom"],
    });
    expect(violationsOf(warm)).toEqual([]);
    const { body } = await client.post("/graphs/flood/invoke?wait=60", {
      input: { megabytes: 60, events: 600 },
      stream_mode: ["custom"],
    });
    expect(body.status).toBe("success");
    const before = rss(gateways[0].pid);
    const { hostname, port } = new URL(client.url);
    const sockets = Array.from({ length: 5 }, () => {
      const socket = connect(Number(port), hostname);
      socket.write(
        `GET /threads/${body.thread_id}/runs/${body.run_id}/stream HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`,
      );
      socket.pause(); // never reads
      return socket;
    });
    let peak = before;
    for (let i = 0; i < 30; i++) {
      await delay(100);
      peak = Math.max(peak, rss(gateways[0].pid));
    }
    for (const socket of sockets) socket.destroy();
    expect(peak - before).toBeLessThan(5 * 20);
    const others = await client.events("GET", `/threads/${body.thread_id}/runs/${body.run_id}/stream`);
    expect(violationsOf(others)).toEqual([]);
    expect(others.filter((event) => event.event === "custom")).toHaveLength(600);
  });

  /** How often clients of the first gateway took too little. */
  async function slowClients(what: string): Promise<number> {
    const { body } = await client.get("/metrics");
    return Number(new RegExp(`^flotilla_slow_clients_total{what="${what}"} (\\d+)`, "m").exec(String(body))?.[1] ?? 0);
  }

  const live = (megabytes: number, pauseMs: number) => ({
    input: { megabytes, events: 200, pause_ms: pauseMs },
    stream_mode: ["custom"],
  });

  test("of a live run reads on by itself; neither the run's other clients nor the gateway's memory pay for it", async () => {
    await stack.startWorker({ EVENTS_MAX_BYTES: String(200 * 1024 * 1024) });
    await client.events("POST", "/graphs/flood/stream", live(10, 0)); // the gateway's memory has grown as it does
    const before = rss(gateways[0].pid);
    let peak = before;
    const watch = setInterval(() => (peak = Math.max(peak, rss(gateways[0].pid))), 50);
    const attentive = await client.open("POST", "/graphs/flood/stream", live(40, 5));
    const slow = await Promise.all(
      Array.from({ length: 8 }, () => client.open("GET", `${attentive.runPath}/stream`)), // and do not read
    );
    const whole = await attentive.rest();
    clearInterval(watch);
    expect(violationsOf(whole)).toEqual([]);
    expect(whole.filter(({ event }) => event === "custom")).toHaveLength(200);
    expect(await slowClients("fell_behind")).toBeGreaterThanOrEqual(8);
    expect(await slowClients("closed")).toBe(0);
    expect(peak - before).toBeLessThan(200); // of 8 × 40 MB
    for (const stream of slow.splice(2)) stream.close();
    for (const stream of slow) expect(await stream.rest()).toEqual(whole);
  });

  test("that takes nothing for too long is closed, and goes on where it was, without a gap", async () => {
    const [strict] = await Promise.all([
      stack.startGateway({ STREAM_STALL_SECS: "1" }),
      stack.startWorker({ EVENTS_MAX_BYTES: String(200 * 1024 * 1024) }),
    ]);
    const second = new TestClient(strict.url);
    const attentive = await client.open("POST", "/graphs/flood/stream", live(30, 25));
    const stalled = await second.open("GET", `${attentive.runPath}/stream`);
    await stalled.next();
    await eventually(
      async () => String((await second.get("/metrics")).body).includes('flotilla_slow_clients_total{what="closed"} 1'),
      { timeoutMs: 20_000, what: "the end of a stream that nobody reads" },
    );
    await stalled.rest();
    expect(stalled.seen.at(-1)?.event).not.toBe("end");
    const all = [...stalled.seen, ...(await goOn(second, stalled))];
    expect(all).toEqual(await attentive.rest());
    expect(violationsOf(all)).toEqual([]);
  });
});
