import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { Stack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

const PRELOAD = new URL("../support/skewed-clock.mjs", import.meta.url);
const HOUR_MS = 3_600_000;

const folder = mkdtempSync(join(tmpdir(), "flotilla-clock-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A clock that the test sets, for one process. */
function ownClock(name: string, skewMs = 0) {
  const file = join(folder, name);
  const set = (ms: number): void => {
    writeFileSync(`${file}.new`, String(ms));
    renameSync(`${file}.new`, file); // whole at every moment
  };
  set(skewMs);
  return { set, env: { NODE_OPTIONS: `--import=${PRELOAD.href}`, CLOCK_SKEW_FILE: file } };
}

const said = (output: string, what: string): number => output.split(what).length - 1;
const DIFFERS = "this machine's clock differs from Postgres'";
const AGREES = "this machine's clock agrees with Postgres' again";

test("a process whose clock is off reports unready and says so, once, and is ready soon after the clock is right", async () => {
  const database = await createTestDatabase();
  const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
  const clocks = [ownClock("gateway", -2_000), ownClock("worker", 2_000)] as const;
  const processes = await Promise.all([stack.startGateway(clocks[0].env), stack.startWorker(clocks[1].env)]);
  const look = () => Promise.all(processes.map(({ url }) => new TestClient(url).get("/ready")));

  for (const { status, body } of await look()) {
    expect(status).toBe(503);
    expect(body).toEqual({ status: "unready", reason: "the clock differs from Postgres'" });
  }
  for (const one of processes) expect(said(one.output(), DIFFERS)).toBe(1);
  for (const { url } of processes) expect((await new TestClient(url).get("/health")).status).toBe(200);

  for (const clock of clocks) clock.set(-300); // near enough
  await eventually(async () => (await look()).every(({ status }) => status === 200));
  for (const one of processes) {
    await eventually(() => said(one.output(), AGREES) === 1);
    expect(said(one.output(), DIFFERS)).toBe(1);
  }
  await stack.stop();
});

test("a worker whose clock steps back an hour goes on with its run; later checkpoints stay the latest", async () => {
  const database = await createTestDatabase();
  const stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
  const clock = ownClock("steps back");
  const [gateway] = await Promise.all([stack.startGateway(), stack.startWorker(clock.env)]);
  const client = new TestClient(gateway.url);

  const input = { inputs: ["first"], steps: 8, delay_ms: 100 };
  const stream = await client.open("POST", "/graphs/steps/stream", { input, stream_mode: ["custom"] });
  await stream.until(({ event }) => event === "custom");
  clock.set(-HOUR_MS);
  const events = await stream.rest();
  expect(JSON.parse(events.at(-1)?.data ?? "")).toMatchObject({ status: "success" });
  const { thread_id, attempt } = JSON.parse(events[0]?.data ?? "") as { thread_id: string; attempt: number };
  expect(attempt).toBe(1);
  expect(events.filter(({ event }) => event === "metadata")).toHaveLength(1);

  const steps = Array.from({ length: 8 }, (_, i) => i + 1);
  const state = await client.get(`/graphs/steps/state?thread_id=${thread_id}`);
  expect(state.body).toMatchObject({ values: { log: steps }, next: [] });
  const { rows } = await database.pool.query<{ stepped_back: boolean }>(
    `select (select checkpoint_id from checkpoints order by seq desc limit 1) < max(checkpoint_id) as stepped_back from checkpoints`,
  );
  expect(rows).toEqual([{ stepped_back: true }]); // the ids, which the worker's clock makes, do say otherwise

  const { body: again } = await client.post("/graphs/steps/invoke?wait=20", {
    thread_id,
    input: { inputs: ["second"], steps: 10, delay_ms: 1 },
  });
  expect(again).toMatchObject({ status: "success", result: { inputs: ["first", "second"], log: [...steps, 9, 10] } });
  const { body } = await client.get(`/graphs/steps/history?thread_id=${thread_id}&limit=100`);
  const logs = (body.history as { values: { log?: number[] } }[]).map(({ values }) => values.log?.length ?? 0);
  expect(logs).toEqual(logs.toSorted((a, b) => b - a));
  await stack.stop();
});
