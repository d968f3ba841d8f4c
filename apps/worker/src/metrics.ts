import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { ClaimedRun } from "@flotilla/shared/runs/run";

const EXECUTION_BUCKETS = [0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const WAIT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const WRITE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** A run's status in the words of the metric: nothing but a cancellation makes a run `interrupted`, or rolls it back. */
const EXECUTION_STATUS: Readonly<Record<string, string>> = {
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
  readonly #startedAt = new Map<string, number>();

  constructor(registry: Registry, concurrency: number, active: () => number) {
    const registers = [registry];
    this.#executions = new Counter({
      name: "langgraph_graph_executions_total",
      help: "Attempts that ended, by graph and how: success, error, timeout, cancelled, handed_over, crashed",
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

  /** A worker that dies counts nothing: whoever claims the run next counts the attempt that was lost, once for each. */
  claimed(run: ClaimedRun): void {
    this.#startedAt.set(run.run_id, performance.now());
    this.#wait.labels(run.graph_id).observe(run.waited_seconds);
    this.#attempts.labels(run.attempt === 1 ? "first" : (run.story.at(-1)?.ended ?? "lost")).inc();
    const wasLost = run.story.some(({ attempt, ended }) => attempt === run.attempt - 1 && ended === "lost");
    if (wasLost) this.#executions.labels(run.graph_id, "crashed").inc();
  }

  /**
   * @param status what became of the run: success (also when it stops at a question), error, timeout, interrupted, rollback,
   * pending (handed over) or lost.
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
}
