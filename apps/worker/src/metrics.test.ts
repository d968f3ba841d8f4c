import { Registry } from "prom-client";
import { expect, test } from "vitest";
import type { ClaimedRun } from "@flotilla/shared/runs/run";
import { WorkerMetrics } from "./metrics.ts";

const chapter = (attempt: number, ended: string) => ({ attempt, ended, reason: null, at: "" });
const run = (attempt = 1, story: ReturnType<typeof chapter>[] = []) =>
  ({ run_id: "r", graph_id: "g", waited_seconds: 0, attempt, story }) as unknown as ClaimedRun;

/** Status → executions counted. */
async function executions(record: (metrics: WorkerMetrics) => void): Promise<Record<string, number>> {
  const registry = new Registry();
  record(new WorkerMetrics(registry, 1, () => 0));
  const { values = [] } = (await registry.getSingleMetric("langgraph_graph_executions_total")?.get()) ?? {};
  return Object.fromEntries(values.map(({ labels, value }) => [String(labels["status"]), value]));
}

test("an attempt is counted by how it ended, a cancelled one as cancelled whatever became of its writes", async () => {
  const ends = ["success", "error", "timeout", "interrupted", "rollback", "pending"];
  const counted = await executions((metrics) => {
    for (const status of ends) metrics.ended(run(), status);
  });
  expect(counted).toEqual({ success: 1, error: 1, timeout: 1, cancelled: 2, handed_over: 1 });
});

test("an attempt that lost its worker counts once, as crashed, also when that worker finds out", async () => {
  const counted = await executions((metrics) => {
    metrics.claimed(run());
    metrics.ended(run(), "lost");
    metrics.claimed(run(2, [chapter(1, "lost"), chapter(1, "not_started")]));
    metrics.ended(run(2), "pending");
    metrics.claimed(run(3, [chapter(1, "lost"), chapter(2, "handed_over")]));
    metrics.ended(run(3), "success");
  });
  expect(counted).toEqual({ crashed: 1, handed_over: 1, success: 1 });
});
