import { Registry } from "prom-client";
import { expect, test } from "vitest";
import type { ClaimedRun } from "@flotilla/shared/runs/run";
import { WorkerMetrics } from "./metrics.ts";

const run = (attempt = 1) =>
  ({ run_id: "r", graph_id: "g", waited_seconds: 0, attempt, story: [] }) as unknown as ClaimedRun;

/** Values of a metric by the labels named, joined by blanks. */
async function values(
  name: string,
  labelNames: string[],
  record: (metrics: WorkerMetrics) => void,
): Promise<Record<string, number>> {
  const registry = new Registry();
  record(new WorkerMetrics(registry, 1, () => 0, { "gpt-x": { input: 2.5, output: 10 } }));
  const { values: samples = [] } = (await registry.getSingleMetric(name)?.get()) ?? {};
  return Object.fromEntries(
    samples.map(({ labels, value }) => [labelNames.map((label) => String(labels[label])).join(" "), value]),
  );
}
const executions = (record: (metrics: WorkerMetrics) => void) =>
  values("langgraph_graph_executions_total", ["status"], record);

test("an attempt is counted by how it ended: a cancelled one as cancelled whatever became of its writes, one that waits for an answer as interrupted", async () => {
  const ends = ["success", "waiting", "error", "timeout", "interrupted", "rollback", "pending"];
  const counted = await executions((metrics) => {
    for (const status of ends) metrics.ended(run(), status);
  });
  expect(counted).toEqual({ success: 1, interrupted: 1, error: 1, timeout: 1, cancelled: 2, handed_over: 1 });
});

test("an attempt that lost its lease is left to the gateway that rescues the run", async () => {
  const counted = await executions((metrics) => {
    metrics.claimed(run());
    metrics.ended(run(), "lost");
    metrics.claimed(run(2));
    metrics.ended(run(2), "success");
  });
  expect(counted).toEqual({ success: 1 });
});

test("tokens are counted by graph, model and direction, and no more than fifty models are told apart", async () => {
  const counted = await values("flotilla_tokens_total", ["graph_name", "model", "direction"], (metrics) => {
    for (let i = 0; i < 60; i++) metrics.tokens("g", `model-${i}`, { input: 2, output: 1 });
    metrics.tokens("g", "model-0", { input: 10, output: 5 });
    metrics.tokens("h", "x".repeat(500), { input: 1, output: 0 });
  });
  expect(counted).toMatchObject({
    "g model-0 input": 12,
    "g model-0 output": 6,
    "g model-49 input": 2,
    "g other input": 20,
    "g other output": 10,
    "h other input": 1,
  });
  expect(new Set(Object.keys(counted).map((labels) => labels.split(" ")[1])).size).toBe(51);
});

test("what tokens cost is added up by the prices given, and a model without one costs nothing", async () => {
  const counted = await values("flotilla_cost_usd_total", ["graph_name", "model"], (metrics) => {
    metrics.tokens("g", "gpt-x", { input: 1000, output: 100 });
    metrics.tokens("g", "gpt-x", { input: 0, output: 1 });
    metrics.tokens("g", "constructor", { input: 1000, output: 100 });
  });
  expect(counted).toEqual({ "g gpt-x": expect.closeTo(0.00351, 9) });
});
