import { setPriority } from "node:os";
import { applyGraphConfig, readGraphConfig } from "@flotilla/shared/graphs/langgraph-json";
import { GroupWriter } from "@flotilla/shared/graphs/checkpoints/group-writer";
import { GraphRegistry } from "@flotilla/shared/graphs/graph-registry";
import { messageOf } from "@flotilla/shared/errors";
import { controlChannel } from "@flotilla/shared/events/event-keys";
import { WakeUps } from "@flotilla/shared/events/wake-ups";
import { createRegistry } from "@flotilla/shared/metrics/process-metrics";
import { ClockCheck } from "@flotilla/shared/postgres/clock";
import { checkConnectionBudget } from "@flotilla/shared/postgres/connection-budget";
import { requireSchema } from "@flotilla/shared/postgres/migrate";
import { createPool } from "@flotilla/shared/postgres/pool";
import { parseEnv } from "@flotilla/shared/process/env";
import { failpointOf } from "@flotilla/shared/process/failpoints";
import { Lifecycle } from "@flotilla/shared/process/lifecycle";
import { createLogger } from "@flotilla/shared/process/logger";
import { LoopWatchdog } from "@flotilla/shared/process/loop-watchdog";
import { stopOnSignals } from "@flotilla/shared/process/signals";
import { RunQueue } from "@flotilla/shared/queue/run-queue";
import { connectRedis } from "@flotilla/shared/redis/connection";
import { VERSION } from "@flotilla/shared/version";
import { workerEnv } from "./config.ts";
import { HealthServer } from "./health-server.ts";
import { WorkerMetrics } from "./metrics.ts";
import { WorkerOnceHost } from "./once/once-host.ts";
import { RunConsumer } from "./run-consumer.ts";
import { Drain } from "./runs/drain.ts";
import { countTokens } from "./runs/count-tokens.ts";
import { executeAlone } from "./runs/execute-alone.ts";
import { executeRun } from "./runs/execute-run.ts";
import { Leases } from "./runs/lease.ts";
import { RunContext } from "./runs/run-context.ts";
import { useStandInsForGraphs } from "./runs/untraced-context.ts";
import { startWorker } from "./start-worker.ts";
import { OpenLogs } from "./streaming/open-logs.ts";

// The entry of a worker process: environment, wiring, signals.

/** A loop that is later than this makes the worker unready, in ms. */
const LATE_MS = 1_000;
/** Before the end of the grace period, nodes that still run are aborted, in s. */
const ABORT_BEFORE_END_SECS = 5;

/** A lease is given back a moment after the queue was told that there is room for another run. */
const SPARE_LEASES = 64;

try {
  const config = parseEnv(workerEnv, process.env);
  process.title = config.FLOTILLA_PROCESS_TITLE;
  const logger = createLogger(config.LOG_LEVEL, { process: config.FLOTILLA_PROCESS_TITLE, pid: process.pid });
  const lifecycle = new Lifecycle();
  // A child prints through its worker, which may die first. What nobody reads is lost, and no reason to fail a run.
  for (const out of [process.stdout, process.stderr]) out.on("error", () => {});

  const pool = createPool({
    databaseUrl: config.DATABASE_URL,
    minSize: config.POOL_MIN_SIZE,
    maxSize: config.POOL_MAX_SIZE,
    applicationName: config.FLOTILLA_PROCESS_TITLE,
    preparedStatements: config.PREPARED_STATEMENTS,
    logger,
  });
  lifecycle.onStop(() => pool.end());
  await requireSchema(pool);
  const budget = await checkConnectionBudget(pool, config.POOL_MAX_SIZE);
  if (budget !== undefined) logger.warn(budget);

  const graphConfig = await readGraphConfig(config.FLOTILLA_CONFIG);
  applyGraphConfig(graphConfig, process.env, logger);
  const registry = await GraphRegistry.load(graphConfig, logger);
  await useStandInsForGraphs(graphConfig.path, process.env);

  const producer = connectRedis(config.REDIS_URL, "producer", logger);
  lifecycle.onStop(() => producer.disconnect());
  // Events have a connection of their own: on BullMQ's, ioredis copies each of its 80 scripts into every pipeline.
  const eventRedis = connectRedis(config.REDIS_URL, "producer", logger);
  lifecycle.onStop(() => eventRedis.disconnect());
  const subscriber = connectRedis(config.REDIS_URL, "subscriber", logger);
  lifecycle.onStop(() => subscriber.disconnect());
  const queue = new RunQueue({ redis: producer, prefix: config.REDIS_PREFIX, logger });

  const failpoint = failpointOf(process.env, () => process.kill(process.pid, "SIGKILL"));
  const watchdog = lifecycle.add(
    new LoopWatchdog(LATE_MS, (lagMs) => logger.warn({ lag_ms: Math.round(lagMs) }, "the event loop was blocked")),
  );
  const clock = lifecycle.add(await ClockCheck.start(pool, logger));
  const prometheus = createRegistry(VERSION, "worker", { pool, poolMax: config.POOL_MAX_SIZE, watchdog });
  let consumer: RunConsumer | undefined;
  const metrics = new WorkerMetrics(
    prometheus,
    config.N_JOBS_PER_WORKER,
    () => consumer?.active ?? 0,
    config.MODEL_PRICES,
  );
  const writer = new GroupWriter({
    pool,
    onWritten: (seconds) => metrics.checkpointsWritten(seconds),
    onFenced: () => metrics.fenced(),
    failpoint,
  });
  const leases = lifecycle.add(
    new Leases({
      databaseUrl: config.DATABASE_URL,
      leaseSeconds: config.LEASE_SECS,
      capacity: config.N_JOBS_PER_WORKER + SPARE_LEASES,
      loopLimitSeconds: config.LOOP_LIMIT_SECS,
      logger,
    }),
  );
  // This thread only: the lease thread, which is there already, renews on time however busy the machine is.
  if (config.WORKER_NICENESS > 0) setPriority(config.WORKER_NICENESS);
  const logs = lifecycle.add(new OpenLogs());
  const drain = new Drain();
  const draining = new AbortController();
  const context = new RunContext();
  context.install(logger);
  const once = new WorkerOnceHost();
  once.install();
  await countTokens(graphConfig.path, (model, usage) => metrics.tokens(context.graphId ?? "unknown", model, usage));

  const wakeUps = new WakeUps(subscriber);
  await wakeUps.listen(controlChannel(config.REDIS_PREFIX), (message) => {
    const [what, runId] = message.split(" ");
    if (runId === undefined) return;
    if (what === "cancel") leases.renewNow(runId); // the row says what to do
    if (what === "follow") logs.follow(runId);
  });

  await leases.ready;
  const worker = startWorker({
    parts: {
      config, logger, pool, redis: eventRedis, queue, registry, writer, leases, logs, drain, context, once, metrics, failpoint,
      executeAlone: (runId) => {
        const { env, stdout, stderr } = process;
        return executeAlone(runId, { main: process.argv[1] as string, env, logger, draining: draining.signal, stdout, stderr });
      },
    },
    soloRun: config.FLOTILLA_SOLO_RUN,
    executeRun,
    openConsumer: (execute) => {
      const redis = connectRedis(config.REDIS_URL, "worker", logger);
      lifecycle.onStop(() => redis.disconnect());
      return (consumer = new RunConsumer({ redis, prefix: config.REDIS_PREFIX, concurrency: config.N_JOBS_PER_WORKER, logger, execute, onStalled: () => metrics.stalled() }));
    },
    watchdog,
  }); // prettier-ignore

  stopOnSignals({
    logger,
    exit: (code) => process.exit(code),
    deadlineMs: config.SHUTDOWN_GRACE_SECS * 1000,
    stop: async () => {
      draining.abort();
      await worker.drain(config.SHUTDOWN_GRACE_SECS - ABORT_BEFORE_END_SECS);
      await lifecycle.stop();
    },
  });

  if (worker.solo === undefined) {
    const server = lifecycle.add(
      await HealthServer.start({
        host: config.WORKER_HOST,
        port: config.WORKER_PORT,
        registry: prometheus,
        unreadyReason: async () => {
          if (drain.requested) return "draining";
          if (watchdog.lagSeconds * 1000 > LATE_MS) return "the event loop is late";
          if (!clock.isRight) return "the clock differs from Postgres'";
          return (await pool.query("select 1").then(() => undefined, () => "Postgres is not reachable")); // prettier-ignore
        },
      }),
    );
    logger.info(
      { version: VERSION, url: server.url, graphs: registry.ids, concurrency: config.N_JOBS_PER_WORKER },
      "worker ready",
    );
    process.send?.({ type: "ready", url: server.url });
  } else {
    await worker.solo;
    await lifecycle.stop();
    process.exit(0);
  }
} catch (error) {
  process.stderr.write(`flotilla worker: ${messageOf(error)}\n`);
  process.exit(1);
}
