import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { ModelPrices } from "./config.ts";
import type { ClaimedRun } from "@flotilla/shared/runs/run";

const EXECUTION_BUCKETS = [0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const WAIT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const WRITE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** Most models that are told apart: a client may name them. */
const MOST_MODELS = 50;

/** A run's status in the words of the metric: nothing but a cancellation makes a run `interrupted`, or rolls it back. */
const EXECUTION_STATUS: Readonly<Record<string, string>> = {
  waiting: "interrupted",
  interrupted: "cancelled",
  rollback: "cancelled",
  pending: "handed_over",
};

/** What a worker measures. `graph_name` is bounded by langgraph.json. */
export class WorkerMetrics {
  readonly #executions: Counter;
  readonly #seconds: Histogram;
  readonly #wait: Histogram;
  readonly #attempts: Counter;
  readonly #writes: Histogram;
  readonly #fenced: Counter;
  readonly #stalled: Counter;
  readonly #failedStarts: Counter;
  readonly #tokens: Counter;
  readonly #cost: Counter;
  readonly #prices: ModelPrices;
  readonly #models = new Set<string>();
  readonly #startedAt = new Map<string, number>();

  /** @param prices what `flotilla_cost_usd_total` counts by; models that have none cost nothing there. */
  constructor(registry: Registry, concurrency: number, active: () => number, prices: ModelPrices = {}) {
    this.#prices = prices;
    const registers = [registry];
    this.#executions = new Counter({
      name: "langgraph_graph_executions_total",
      help: "Attempts that ended, by graph and how: success, interrupted (by a question or breakpoint), error, timeout, cancelled, handed_over. Gateways count crashed ones",
      labelNames: ["graph_name", "status"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "langgraph_graph_execution_seconds",
      help: "Duration of attempts",
      labelNames: ["graph_name"],
      buckets: EXECUTION_BUCKETS,
      registers,
    });
    this.#wait = new Histogram({
      name: "flotilla_run_queue_wait_seconds",
      help: "From runnable to claimed",
      labelNames: ["graph_name"],
      buckets: WAIT_BUCKETS,
      registers,
    });
    this.#attempts = new Counter({
      name: "flotilla_run_attempts_total",
      help: "Attempts begun, by reason: first, handed_over, lost",
      labelNames: ["reason"],
      registers,
    });
    this.#writes = new Histogram({
      name: "flotilla_checkpoint_write_seconds",
      help: "Duration of a statement that stores checkpoints",
      buckets: WRITE_BUCKETS,
      registers,
    });
    this.#fenced = new Counter({
      name: "flotilla_fenced_writes_total",
      help: "Checkpoint writes refused because the lease was lost",
      registers,
    });
    this.#stalled = new Counter({
      name: "flotilla_stalled_total",
      help: "Jobs that the queue took back from workers that were gone or late, as this worker saw it",
      registers,
    });
    this.#failedStarts = new Counter({
      name: "flotilla_failed_starts_total",
      help: "Runs that could not be started, by what became of them: pending, error (the third time)",
      labelNames: ["status"],
      registers,
    });
    this.#tokens = new Counter({
      name: "flotilla_tokens_total",
      help: "Tokens as chat models report them, by direction: input, output",
      labelNames: ["graph_name", "model", "direction"],
      registers,
    });
    this.#cost = new Counter({
      name: "flotilla_cost_usd_total",
      help: "What these tokens cost by MODEL_PRICES, in US dollars; models without a price are not in it",
      labelNames: ["graph_name", "model"],
      registers,
    });
    new Gauge({ name: "flotilla_worker_concurrency", help: "Runs this worker may execute at once", registers }).set(
      concurrency,
    );
    new Gauge({
      name: "flotilla_worker_active_runs",
      help: "Runs this worker executes now",
      registers,
      collect() {
        this.set(active());
      },
    });
  }

  claimed(run: ClaimedRun): void {
    this.#startedAt.set(run.run_id, performance.now());
    this.#wait.labels(run.graph_id).observe(run.waited_seconds);
    this.#attempts.labels(run.attempt === 1 ? "first" : (run.story.at(-1)?.ended ?? "lost")).inc();
  }

  /**
   * @param status what became of the run: success, waiting (at a question or breakpoint), error, timeout, interrupted, rollback,
   * pending (handed over) or lost, which the gateway that rescues the run counts.
   */
  ended(run: ClaimedRun, status: string): void {
    const started = this.#startedAt.get(run.run_id);
    this.#startedAt.delete(run.run_id);
    if (status !== "lost") this.#executions.labels(run.graph_id, EXECUTION_STATUS[status] ?? status).inc();
    if (started !== undefined) this.#seconds.labels(run.graph_id).observe((performance.now() - started) / 1000);
  }

  checkpointsWritten(seconds: number): void {
    this.#writes.observe(seconds);
  }

  fenced(): void {
    this.#fenced.inc();
  }

  stalled(): void {
    this.#stalled.inc();
  }

  /** @param status what became of the run. */
  startFailed(status: string): void {
    this.#failedStarts.labels(status).inc();
  }

  tokens(graphId: string, model: string, usage: { input: number; output: number }): void {
    const label = this.#labelOf(model);
    this.#tokens.labels(graphId, label, "input").inc(usage.input);
    this.#tokens.labels(graphId, label, "output").inc(usage.output);
    const price = Object.hasOwn(this.#prices, model) ? this.#prices[model] : undefined;
    if (price === undefined) return;
    this.#cost.labels(graphId, label).inc((usage.input * price.input + usage.output * price.output) / 1e6);
  }

  #labelOf(model: string): string {
    const name = model.slice(0, 100);
    if (!this.#models.has(name) && this.#models.size >= MOST_MODELS) return "other";
    this.#models.add(name);
    return name;
  }
}
