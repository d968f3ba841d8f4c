import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { getDemand } from "@flotilla/shared/runs/run-queries";
import { countBusyThreads } from "@flotilla/shared/threads/thread-queries";
import type { Queryable } from "@flotilla/shared/postgres/pool";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";

const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120];
const METHODS = new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]);

/** What a gateway measures. `endpoint` is a route's template, never a raw path. */
export class GatewayMetrics {
  readonly #requests: Counter;
  readonly #latency: Histogram;
  readonly #rescued: Counter;
  readonly #redispatched: Counter;
  readonly #duties: Counter;
  readonly #clients: Gauge;

  constructor(registry: Registry, db: Queryable, queue: RunQueue) {
    const registers = [registry];
    this.#requests = new Counter({
      name: "langgraph_requests_total",
      help: "Requests by route and status",
      labelNames: ["method", "endpoint", "status"],
      registers,
    });
    this.#latency = new Histogram({
      name: "langgraph_request_latency_seconds",
      help: "Duration of requests, streams excluded",
      labelNames: ["method", "endpoint"],
      buckets: LATENCY_BUCKETS,
      registers,
    });
    this.#rescued = new Counter({
      name: "flotilla_rescued_runs_total",
      help: "Runs whose lease ran out, by what became of them",
      labelNames: ["status"],
      registers,
    });
    this.#redispatched = new Counter({
      name: "flotilla_redispatched_runs_total",
      help: "Runs that the sweep put on the queue",
      registers,
    });
    this.#duties = new Counter({
      name: "flotilla_duty_turns_total",
      help: "Turns of the maintenance duties on this gateway: done, left (to another gateway), failed",
      labelNames: ["duty", "outcome"],
      registers,
    });
    this.#clients = new Gauge({
      name: "flotilla_sse_connections",
      help: "Clients that follow a stream on this gateway",
      registers,
    });
    demandGauges(registry, db);
    new Gauge({
      name: "langgraph_active_threads",
      help: "Threads with a run in flight, over the whole fleet",
      registers,
      async collect() {
        this.set(await countBusyThreads(db).catch(() => NaN));
      },
    });
    new Gauge({
      name: "flotilla_queue_jobs",
      help: "Jobs in Redis by state, over the whole fleet",
      labelNames: ["queue", "state"],
      registers,
      async collect() {
        const counts = await queue.counts().catch(() => ({}));
        for (const [state, n] of Object.entries(counts)) this.labels("runs", state).set(n);
      },
    });
  }

  /** @param seconds undefined for streams, whose duration says nothing. */
  requestEnded(method: string, endpoint: string, status: number, seconds: number | undefined): void {
    const known = METHODS.has(method) ? method : "OTHER";
    this.#requests.labels(known, endpoint, String(status)).inc();
    if (seconds !== undefined) this.#latency.labels(known, endpoint).observe(seconds);
  }

  streamOpened(): void {
    this.#clients.inc();
  }
  streamClosed(): void {
    this.#clients.dec();
  }
  rescued(status: string): void {
    this.#rescued.labels(status).inc();
  }
  dutyTurn(duty: string, outcome: "done" | "left" | "failed"): void {
    this.#duties.labels(duty, outcome).inc();
  }
  redispatched(): void {
    this.#redispatched.inc();
  }
}

/** Demand is what autoscaling needs: what runs plus what could. Take the maximum over gateways: each shows the whole fleet's. */
function demandGauges(registry: Registry, db: Queryable): void {
  const registers = [registry];
  const oldest = new Gauge({
    name: "flotilla_oldest_runnable_seconds",
    help: "Age of the oldest run that could be running and is not",
    registers,
  });
  const byState = new Gauge({
    name: "flotilla_runs",
    help: "Runs by state: runnable, running",
    labelNames: ["state"],
    registers,
  });
  new Gauge({
    name: "flotilla_demand",
    help: "Runnable plus running runs, over the whole fleet",
    registers,
    async collect() {
      const demand = await getDemand(db).catch(() => undefined);
      this.set(demand === undefined ? NaN : demand.runnable + demand.running);
      oldest.set(demand?.oldest_seconds ?? NaN);
      byState.labels("runnable").set(demand?.runnable ?? NaN);
      byState.labels("running").set(demand?.running ?? NaN);
    },
  });
}
