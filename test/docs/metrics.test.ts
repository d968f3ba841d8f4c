import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createRegistry } from "@flotilla/shared/metrics/process-metrics";
import { GatewayMetrics } from "../../apps/api/src/metrics.ts";
import { WorkerMetrics } from "../../apps/worker/src/metrics.ts";

type Registry = ReturnType<typeof createRegistry>;

const PAGE = new URL("../../docs/metrics.md", import.meta.url);

/** Registered as in the processes; nothing is collected, so nothing of what they measure has to be there. */
const nothing = {} as never;
const gateway = createRegistry("test", "gateway", nothing);
const common = describe(gateway);
new GatewayMetrics(gateway, nothing, nothing, nothing);
const worker = createRegistry("test", "worker", nothing);
new WorkerMetrics(worker, 1, () => 0);
const known = new Set(common.map(({ name }) => name));

interface Described {
  name: string;
  help: string;
  type: string;
  labelNames: readonly string[];
}

/** Our metrics: those of Node itself are prom-client's, and documented there. */
function describe(registry: Registry): Described[] {
  const metrics = registry.getMetricsAsArray() as unknown as Described[];
  return metrics.filter(({ name }) => !/^(nodejs|process)_/.test(name));
}

const table = (metrics: Described[]): string =>
  [
    "| metric | type | labels | |",
    "|---|---|---|---|",
    ...metrics.map(({ name, type, labelNames, help }) => {
      const labels = labelNames.map((label) => `\`${label}\``).join(", ");
      return `| \`${name}\` | ${type} | ${labels} | ${help} |`;
    }),
  ].join("\n");

const own = (registry: Registry): Described[] => describe(registry).filter(({ name }) => !known.has(name));

const page = (): string => `# Metrics

In Prometheus' format: \`/metrics\` of each gateway, and of each worker on its \`WORKER_PORT\`. Names that start with \`langgraph_\` are those that
LangGraph's users know. Labels are bounded: a route's template, a graph of \`langgraph.json\`, the first fifty models of a worker.

## Gateway

\`flotilla_demand\`, \`flotilla_runs\`, \`flotilla_held_runs\`, \`flotilla_oldest_runnable_seconds\`, \`flotilla_queue_*\`, \`flotilla_table_*\`, \`flotilla_redis_*\` and
\`langgraph_active_threads\` show the whole fleet, from every gateway the same: take the maximum, not the sum.

${table(own(gateway))}

## Worker

A run that is executed alone, after it has lost workers, is executed by a child process whose own counts nobody reads.

${table(own(worker))}

## Both

${table(common)}

Besides, those of prom-client about the process and Node: \`process_*\`, \`nodejs_*\`.

## Queries

| question | |
|---|---|
| Share of requests that fail | \`sum(rate(langgraph_requests_total{status=~"5.."}[5m])) / sum(rate(langgraph_requests_total[5m]))\` |
| How attempts end | \`sum by (graph_name, status) (increase(langgraph_graph_executions_total[1h]))\`, gateways and workers together |
| Poison runs | \`sum(increase(flotilla_rescued_runs_total{status="error"}[1h])) + sum(increase(flotilla_failed_starts_total{status="error"}[1h]))\` |
| Is the server too full to take runs, and of what? | \`sum by (cause) (rate(flotilla_refused_requests_total[5m]))\` |
| Does the database grow? | \`max by (table) (flotilla_table_bytes)\` over days |
| Is a pool exhausted? | \`max by (instance) (langgraph_db_pool_size{state="waiting"}) > 0\` |
| What lags, the server or a client? | \`histogram_quantile(0.95, sum by (le) (rate(flotilla_event_lag_seconds_bucket[5m])))\` beside \`flotilla_slow_clients_total\` |
| What does it cost? | \`sum by (graph_name, model) (increase(flotilla_cost_usd_total[1d]))\`, or by a price of your own: \`sum by (model) (increase(flotilla_tokens_total{direction="output"}[1d])) * 0.6 / 1e6\` |

Prices differ by contract, by cached and batched tokens and by day: \`flotilla_cost_usd_total\` is an estimate by the prices of \`MODEL_PRICES\`, not
a bill.
`;

test("docs/metrics.md says what the processes measure; UPDATE_DOCS=1 writes it anew", () => {
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(PAGE, page());
  expect(readFileSync(PAGE, "utf8")).toBe(page());
});
