import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Overloaded } from "@flotilla/shared/errors";
import { countDeadLetters, getDemand } from "@flotilla/shared/runs/fleet-queries";
import { countBusyThreads } from "@flotilla/shared/threads/thread-queries";
import type { Queryable } from "@flotilla/shared/postgres/pool";
import type { RunQueue } from "@flotilla/shared/queue/run-queue";
import type { Redis } from "@flotilla/shared/redis/connection";
import { readRedisMemory } from "@flotilla/shared/redis/memory";
import { readOnce } from "./read-once.ts";
import { sizeGauges } from "./size-metrics.ts";

const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120];
const STREAM_BUCKETS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600];
const LAG_BUCKETS = [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const DUTY_BUCKETS = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];
/** A count of streams that is older says nothing, in ms. */
const COUNTED_MS = 3_600_000;
/** What gauges of one scrape share, in ms. */
const SCRAPE_MS = 250;
const METHODS = new Set(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]);

/** What a gateway measures. `endpoint` is a route's template, never a raw path. */
export class GatewayMetrics {
  readonly #requests: Counter;
  readonly #latency: Histogram;
  readonly #rescued: Counter;
  readonly #redispatched: Counter;
  readonly #duties: Counter;
  readonly #clients: Gauge;
  readonly #streams: Histogram;
  readonly #eventLag: Histogram;
  readonly #slowClients: Counter;
  readonly #executions: Counter;
  readonly #refused: Counter;
  readonly #swept: Counter;
  readonly #dutySeconds: Histogram;
  #streamCount: { streams: number; at: number } | undefined;

  constructor(registry: Registry, db: Queryable, queue: RunQueue, redis: Redis) {
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
    this.#streams = new Histogram({
      name: "flotilla_stream_duration_seconds",
      help: "How long clients followed a stream",
      buckets: STREAM_BUCKETS,
      registers,
    });
    this.#eventLag = new Histogram({
      name: "flotilla_event_lag_seconds",
      help: "From an event's append in the worker to its write to a client that follows live, by the clocks of both",
      buckets: LAG_BUCKETS,
      registers,
    });
    this.#slowClients = new Counter({
      name: "flotilla_slow_clients_total",
      help: "Clients of streams that took too little: fell_behind (and read on by themselves), closed (took nothing for long)",
      labelNames: ["what"],
      registers,
    });
    this.#executions = new Counter({
      name: "langgraph_graph_executions_total",
      help: "Attempts whose worker did not end them: crashed, or cancelled meanwhile. Workers count the others",
      labelNames: ["graph_name", "status"],
      registers,
    });
    this.#refused = new Counter({
      name: "flotilla_refused_requests_total",
      help: "Requests that were answered 503 because the server had too much to do, by cause: the `code` of the answer",
      labelNames: ["cause"],
      registers,
    });
    this.#swept = new Counter({
      name: "flotilla_swept_total",
      help: "What sweeps of this gateway have removed: runs, threads trimmed, images (of overwritten rows), streams (that would not have expired)",
      labelNames: ["what"],
      registers,
    });
    this.#dutySeconds = new Histogram({
      name: "flotilla_duty_seconds",
      help: "Duration of the turns of maintenance duties that this gateway has done",
      labelNames: ["duty"],
      buckets: DUTY_BUCKETS,
      registers,
    });
    const streamCount = () => this.#streamCount;
    new Gauge({
      name: "flotilla_event_streams",
      help: "Streams of runs in Redis, as this gateway has counted them in its last sweep; NaN when another one sweeps",
      registers,
      collect() {
        const counted = streamCount();
        this.set(counted === undefined || performance.now() - counted.at > COUNTED_MS ? NaN : counted.streams);
      },
    });
    demandGauges(registry, db);
    sizeGauges(registry, db);
    const memory = readOnce(() => readRedisMemory(redis), SCRAPE_MS);
    new Gauge({
      name: "flotilla_redis_memory_bytes",
      help: "Memory that Redis uses, in bytes",
      registers,
      async collect() {
        this.set((await memory())?.used ?? NaN);
      },
    });
    new Gauge({
      name: "flotilla_redis_memory_ratio",
      help: "Memory that Redis uses of what it may use; NaN without a limit",
      registers,
      async collect() {
        const { used, max } = (await memory()) ?? { used: 0, max: 0 };
        this.set(max === 0 ? NaN : used / max);
      },
    });
    new Gauge({
      name: "flotilla_queue_oldest_waiting_seconds",
      help: "Age of the job that has waited longest in Redis; 0 when none waits",
      registers,
      async collect() {
        const since = await queue.oldestWaiting().catch(() => undefined);
        this.set(since === undefined ? NaN : since === null ? 0 : Math.max(0, (Date.now() - since) / 1000));
      },
    });
    new Gauge({
      name: "langgraph_active_threads",
      help: "Threads with a run in flight, over the whole fleet",
      registers,
      async collect() {
        this.set(await countBusyThreads(db).catch(() => NaN));
      },
    });
    new Gauge({
      name: "flotilla_dead_letter",
      help: "Runs that ended because they could not be executed and that nobody has acknowledged, over the whole fleet",
      registers,
      async collect() {
        this.set(await countDeadLetters(db).catch(() => NaN));
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

  /** @returns what to call when the client is gone. */
  streamOpened(): () => void {
    this.#clients.inc();
    const stop = this.#streams.startTimer();
    return () => {
      this.#clients.dec();
      stop();
    };
  }
  slowClient(what: "fell_behind" | "closed"): void {
    this.#slowClients.labels(what).inc();
  }
  /** @param appendedAt when the first of the events was appended, in ms. */
  eventsWritten(appendedAt: number): void {
    this.#eventLag.observe(Math.max(0, Date.now() - appendedAt) / 1000);
  }
  /** @param status what became of the run: pending, error (it has lost too many workers), interrupted or rollback. */
  rescued(graphId: string, status: string): void {
    this.#rescued.labels(status).inc();
    const isCancelled = status === "interrupted" || status === "rollback";
    this.#executions.labels(graphId, isCancelled ? "cancelled" : "crashed").inc();
  }
  /** @param seconds how long a turn took that was done. */
  dutyDone(duty: string, seconds: number): void {
    this.#dutySeconds.labels(duty).observe(seconds);
  }
  swept(what: "runs" | "threads trimmed" | "images" | "streams", count: number): void {
    this.#swept.labels(what).inc(count);
  }
  streamsCounted(streams: number): void {
    this.#streamCount = { streams, at: performance.now() };
  }
  dutyTurn(duty: string, outcome: "done" | "left" | "failed"): void {
    this.#duties.labels(duty, outcome).inc();
  }
  refused(cause: Overloaded["code"]): void {
    this.#refused.labels(cause).inc();
  }
  redispatched(): void {
    this.#redispatched.inc();
  }
}

/** Demand is what autoscaling needs: what runs plus what could. Take the maximum over gateways: each shows the whole fleet's. */
function demandGauges(registry: Registry, db: Queryable): void {
  const registers = [registry];
  const demand = readOnce(() => getDemand(db), SCRAPE_MS);
  new Gauge({
    name: "flotilla_oldest_runnable_seconds",
    help: "Age of the oldest run that could be running and is not",
    registers,
    async collect() {
      this.set((await demand())?.oldest_seconds ?? NaN);
    },
  });
  new Gauge({
    name: "flotilla_held_runs",
    help: "Of the runnable runs, those that are held because enough runs of their tenant are on the queue or running",
    registers,
    async collect() {
      this.set((await demand())?.held ?? NaN);
    },
  });
  new Gauge({
    name: "flotilla_runs",
    help: "Runs by state: runnable, running",
    labelNames: ["state"],
    registers,
    async collect() {
      const { runnable, running } = (await demand()) ?? { runnable: NaN, running: NaN };
      this.labels("runnable").set(runnable);
      this.labels("running").set(running);
    },
  });
  new Gauge({
    name: "flotilla_demand",
    help: "Runnable plus running runs, over the whole fleet",
    registers,
    async collect() {
      const { runnable, running } = (await demand()) ?? { runnable: NaN, running: NaN };
      this.set(runnable + running);
    },
  });
}
