import { fileURLToPath } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { Stack, type StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

let database: TestDatabase;
let stack: Stack;
let gateway: StackProcess;
let client: TestClient;

beforeAll(async () => {
  database = await createTestDatabase();
  stack = new Stack({
    databaseUrl: database.url,
    config: fileURLToPath(new URL("../../langgraph.json", import.meta.url)),
    env: { LEASE_SECS: "2", OFFLINE_MODEL_DELAY_MS: "0" },
  });
  gateway = await stack.startGateway();
  client = new TestClient(gateway.url);
});

/** The value of a sample, undefined when there is none. */
async function sample(of: StackProcess, nameAndLabels: string): Promise<number | undefined> {
  const page = await (await fetch(`${of.url}/metrics`)).text();
  const line = page.split("\n").find((one) => one.startsWith(`${nameAndLabels} `));
  return line === undefined ? undefined : Number(line.slice(nameAndLabels.length));
}
const executions = (graph: string, status: string): string =>
  `langgraph_graph_executions_total{graph_name="${graph}",status="${status}"}`;

test("an attempt that stops at a question counts as interrupted, the answer to it as a success, and its tokens by model", async () => {
  const worker = await stack.startWorker();
  const { body } = await client.post("/graphs/customer_support/invoke?wait=20", {
    input: { messages: [{ role: "user", content: "refund order 1042" }] },
  });
  expect(body.interrupts).toHaveLength(1);
  const graph = "customer_support";
  expect(await sample(worker, executions(graph, "interrupted"))).toBe(1);
  expect(await sample(worker, executions(graph, "success"))).toBeUndefined();
  const tokens = (direction: string) =>
    sample(worker, `flotilla_tokens_total{graph_name="${graph}",model="offline",direction="${direction}"}`);
  const [input, output] = [(await tokens("input")) ?? 0, (await tokens("output")) ?? 0];
  const messages = body.result.messages as { usage_metadata?: { input_tokens: number; output_tokens: number } }[];
  const reported = messages.flatMap(({ usage_metadata: usage }) => (usage == null ? [] : [usage]));
  expect(reported.length).toBeGreaterThan(0);
  expect(input).toBe(reported.reduce((sum, usage) => sum + usage.input_tokens, 0));
  expect(output).toBe(reported.reduce((sum, usage) => sum + usage.output_tokens, 0));

  await client.post(`/graphs/${graph}/resume?wait=20`, { thread_id: body.thread_id, resume_data: { approved: true } });
  expect(await sample(worker, executions(graph, "interrupted"))).toBe(1);
  expect(await sample(worker, executions(graph, "success"))).toBe(1);
  expect(await tokens("output")).toBeGreaterThan(output);
  await worker.kill("SIGTERM");
});

test("the lag of events is counted for a client that follows live, not for one that reads what is kept", async () => {
  const worker = await stack.startWorker();
  const lags = async () => (await sample(gateway, "flotilla_event_lag_seconds_count")) ?? 0;
  const before = await lags();
  const events = await client.events("POST", "/graphs/counter/stream", { input: { steps: 5, delay_ms: 100 } });
  const live = (await lags()) - before;
  expect(live).toBeGreaterThanOrEqual(5); // a batch for each step at least
  expect(live).toBeLessThanOrEqual(events.length);
  const sum = (await sample(gateway, "flotilla_event_lag_seconds_sum")) ?? 0;
  expect(sum).toBeGreaterThan(0);
  expect(sum / live).toBeLessThan(5);

  const { run_id, thread_id } = JSON.parse(events[0]?.data ?? "") as { run_id: string; thread_id: string };
  expect(await client.events("GET", `/threads/${thread_id}/runs/${run_id}/stream`)).toEqual(events);
  expect((await lags()) - before).toBe(live);
  await worker.kill("SIGTERM");
});

test("an attempt whose worker died counts as crashed, also when it was the run's last", async () => {
  const crashed = async () => (await sample(gateway, executions("counter", "crashed"))) ?? 0;
  const rescued = async (status: string) =>
    (await sample(gateway, `flotilla_rescued_runs_total{status="${status}"}`)) ?? 0;
  const worker = await stack.startWorker();
  const runs = await Promise.all(
    Array.from({ length: 2 }, () => client.open("POST", "/graphs/counter/stream", { input: { delay_ms: 60_000 } })),
  );
  for (const run of runs) await run.until(({ event }) => event === "metadata");
  // As if the second had lost two workers of its own already, and nothing had been stored since this one claimed it.
  const poisoned = runs[1]?.runPath.split("/").at(-1);
  await database.pool.query(
    "update runs set solo = true, losses = 4, solo_losses = 2, claimed_seq = 1000000 where run_id = $1",
    [poisoned],
  );
  await worker.kill();
  await eventually(async () => (await crashed()) === 2, { what: "both attempts among the crashed" });
  expect([await rescued("pending"), await rescued("error")]).toEqual([1, 1]);
  expect(await sample(gateway, "flotilla_dead_letter")).toBe(1);
  const { rows } = await database.pool.query("select status, error ->> 'error' as error from runs where run_id = $1", [
    poisoned,
  ]);
  expect(rows).toEqual([{ status: "error", error: "PoisonRun" }]);
  for (const run of runs) run.close();
});

test("metrics come as JSON too, and in no other form", async () => {
  const { body } = await client.get("/metrics?format=json");
  const demand = (body as { name: string; type: string; values: { value: number }[] }[]).find(
    ({ name }) => name === "flotilla_demand",
  );
  expect(demand).toMatchObject({ type: "gauge", values: [{ value: expect.any(Number) }] });
  expect((await client.get("/metrics?format=xml")).status).toBe(422);
});
