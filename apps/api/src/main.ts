import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { messageOf } from "@flotilla/shared/errors";
import { EventTails } from "@flotilla/shared/events/event-tail";
import { WakeUps } from "@flotilla/shared/events/wake-ups";
import { GraphRegistry } from "@flotilla/shared/graphs/graph-registry";
import { applyGraphConfig, readGraphConfig } from "@flotilla/shared/graphs/langgraph-json";
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
import { checkRedisSettings, connectRedis } from "@flotilla/shared/redis/connection";
import { setAdmission } from "@flotilla/shared/runs/fleet-queries";
import { getRunStatus } from "@flotilla/shared/runs/run-queries";
import { isFinal } from "@flotilla/shared/runs/run";
import { VERSION } from "@flotilla/shared/version";
import { Admission } from "./admission/admission.ts";
import { PendingRuns } from "./admission/pending-runs.ts";
import { RedisFullness } from "./admission/redis-fullness.ts";
import { createApp } from "./app.ts";
import { assistantRoutes } from "./assistants/routes.ts";
import { SourceSchemas } from "./assistants/source/source-schemas.ts";
import { gatewayEnv, retentionOf } from "./config.ts";
import { servedRoutes } from "./http/route.ts";
import type { Gateway } from "./gateway.ts";
import { Assistants } from "./assistants/assistants.ts";
import { deadLetterRoutes } from "./dead-letters/routes.ts";
import { graphRoutes } from "./graphs/routes.ts";
import { Authenticator } from "./http/authenticate.ts";
import { corsRulesOf } from "./http/origins.ts";
import { HeaderPicker, SERVER_KEYS } from "./http/pick-headers.ts";
import { eraseTemporaryThreads } from "./maintenance/erase-temporary-threads.ts";
import { clearLeftovers } from "./maintenance/clear-leftovers.ts";
import { enqueueStranded } from "./maintenance/enqueue-stranded.ts";
import { expireThreads } from "./maintenance/expire-threads.ts";
import { Maintainer } from "./maintenance/maintainer.ts";
import { prune } from "./maintenance/prune.ts";
import { refreshThreads } from "./maintenance/refresh-threads.ts";
import { retainCheckpoints } from "./maintenance/retain-checkpoints.ts";
import { retainRuns } from "./maintenance/retain-runs.ts";
import { rescueRuns } from "./maintenance/rescue-runs.ts";
import { GatewayMetrics } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { EndedRuns } from "./runs/ended-runs.ts";
import { OpenStreams } from "./runs/open-streams.ts";
import { RunSignals } from "./runs/run-signals.ts";
import { followRoutes } from "./runs/follow-routes.ts";
import { runRoutes } from "./runs/routes.ts";
import { submitRoutes } from "./runs/submit-routes.ts";
import { missingEnd } from "./runs/stream-run.ts";
import { systemRoutes } from "./system/routes.ts";
import { threadRoutes } from "./threads/routes.ts";
import { ThreadStates } from "./threads/thread-state.ts";

// The entry of a gateway process: environment, wiring, signals.

/** Headers that take longer than this to arrive come from nobody who means well, in ms. */
const HEADERS_TIMEOUT_MS = 15_000;

try {
  const config = parseEnv(gatewayEnv, process.env);
  process.title = config.FLOTILLA_PROCESS_TITLE;
  const logger = createLogger(config.LOG_LEVEL, { process: config.FLOTILLA_PROCESS_TITLE, pid: process.pid });
  const lifecycle = new Lifecycle();

  const pool = createPool({
    databaseUrl: config.DATABASE_URL,
    minSize: config.POOL_MIN_SIZE,
    maxSize: config.POOL_MAX_SIZE,
    connectionTimeoutMs: config.POOL_TIMEOUT_SECS * 1000,
    applicationName: config.FLOTILLA_PROCESS_TITLE,
    preparedStatements: config.PREPARED_STATEMENTS,
    logger,
  });
  lifecycle.onStop(() => pool.end());
  await requireSchema(pool);
  const bounds = { maxQueued: config.MAX_QUEUED_RUNS_PER_TENANT, maxRunning: config.MAX_RUNNING_RUNS_PER_TENANT };
  const replaced = await setAdmission(pool, bounds);
  if (replaced !== undefined) logger.warn({ before: replaced, now: bounds }, "the fleet's bounds for a tenant changed");
  const budget = await checkConnectionBudget(pool, config.POOL_MAX_SIZE);
  if (budget !== undefined) logger.warn(budget);

  const graphConfig = await readGraphConfig(config.FLOTILLA_CONFIG);
  applyGraphConfig(graphConfig, process.env, logger);
  const { http } = graphConfig;
  const mountPrefix = config.MOUNT_PREFIX ?? http.mountPrefix;
  const registry = await GraphRegistry.load(graphConfig, logger);

  const redis = connectRedis(config.REDIS_URL, "producer", logger);
  lifecycle.onStop(() => redis.disconnect());
  const subscriber = connectRedis(config.REDIS_URL, "subscriber", logger);
  lifecycle.onStop(() => subscriber.disconnect());
  redis.once("ready", () => void checkRedisSettings(redis, logger));

  const prefix = config.REDIS_PREFIX;
  const queue = new RunQueue({ redis, prefix, logger });
  const signals = new RunSignals(redis, prefix);
  const watchdog = lifecycle.add(
    new LoopWatchdog(1_000, (lagMs) => logger.warn({ lag_ms: Math.round(lagMs) }, "the event loop was blocked")),
  );
  const clock = lifecycle.add(await ClockCheck.start(pool, logger));
  const prometheus = createRegistry(VERSION, "gateway", { pool, poolMax: config.POOL_MAX_SIZE, watchdog });
  const metrics = new GatewayMetrics(prometheus, pool, queue, redis);
  const states = new ThreadStates(pool, registry);
  const wakeUps = new WakeUps(subscriber);
  const endedRuns = await EndedRuns.follow(wakeUps, prefix);
  const tails = new EventTails({
    redis,
    wakeUps,
    prefix,
    watch: {
      async state(tenantId, runId) {
        const run = await getRunStatus(pool, tenantId, runId);
        return run === undefined ? { live: false, attempt: 1 } : { live: !isFinal(run.status), attempt: run.attempt };
      },
      missingEnd: (tenantId, runId, attempt) => missingEnd({ pool, states, logger }, tenantId, runId, attempt),
    },
    onFellBehind: () => metrics.slowClient("fell_behind"),
  });
  // Apart from the requests' own: those that wait must not keep maintenance from its work, nor hide how many runs wait.
  const dutyPool = createPool({
    databaseUrl: config.DATABASE_URL,
    minSize: 0,
    maxSize: 12, // more than there are duties: each holds one for its lock, and one must be left for what they do
    applicationName: `${config.FLOTILLA_PROCESS_TITLE} duties`,
    preparedStatements: config.PREPARED_STATEMENTS,
    idleInTransactionMs: 600_000,
    logger,
  });
  lifecycle.onStop(() => dutyPool.end());
  const redisFullness = new RedisFullness(redis, {
    percent: config.REDIS_MEMORY_LIMIT_PERCENT,
    bytes: config.REDIS_MEMORY_LIMIT_BYTES,
  });
  const pendingRuns = new PendingRuns(dutyPool, {
    all: config.MAX_PENDING_RUNS,
    ofTenant: config.MAX_PENDING_RUNS_PER_TENANT,
  });
  const admission = new Admission(lifecycle.add(redisFullness), lifecycle.add(pendingRuns));
  const streams = new OpenStreams(metrics, config.STREAM_STALL_SECS * 1000);
  const gateway: Gateway = {
    pool,
    redis,
    prefix,
    threadTtl: graphConfig.threadTtl.byDefault,
    admission,
    queue,
    signals,
    wakeUps,
    endedRuns,
    tails,
    streams,
    states,
    registry,
    assistants: new Assistants({ pool, registry, defaults: config.LANGGRAPH_CONFIG }),
    sourceSchemas: lifecycle.add(new SourceSchemas(pool, registry, logger)),
    mountPrefix,
    configurableHeaders: new HeaderPicker(http.configurableHeaders, SERVER_KEYS),
    metrics,
    logger,
    failpoint: failpointOf(process.env, () => process.kill(process.pid, "SIGKILL")),
  };

  const maintainer = lifecycle.add(new Maintainer(dutyPool, gateway.metrics, logger));
  maintainer.add(rescueRuns({ ...gateway, pool: dutyPool, leaseSeconds: config.LEASE_SECS }));
  maintainer.add(enqueueStranded({ ...gateway, pool: dutyPool }));
  maintainer.add(refreshThreads({ ...gateway, pool: dutyPool }));
  maintainer.add(prune(dutyPool));
  maintainer.add(expireThreads({ ...gateway, pool: dutyPool, sweep: graphConfig.threadTtl }));
  maintainer.add(
    eraseTemporaryThreads(
      { ...gateway, pool: dutyPool },
      { deadLetterSeconds: config.DEAD_LETTER_RETENTION_DAYS * 86_400 },
    ),
  );
  const sweeps = { ...gateway, pool: dutyPool, everyMs: config.RETENTION_INTERVAL_SECS * 1000 };
  const retention = retentionOf(config);
  if (retention.runs !== undefined) maintainer.add(retainRuns({ ...sweeps, retention: retention.runs }));
  if (retention.history !== undefined) maintainer.add(retainCheckpoints({ ...sweeps, retention: retention.history }));
  maintainer.add(clearLeftovers(sweeps));

  let stopping = false;
  const allowedOrigins = config.ALLOWED_ORIGINS.split(",")
    .map((origin) => origin.trim())
    .filter((origin) => origin !== "");
  const cors = corsRulesOf(allowedOrigins, http.cors);
  if (cors.origins.all && http.cors?.allow_credentials === true)
    logger.warn("ALLOWED_ORIGINS allows all origins: http.cors.allow_credentials has no effect");
  const authenticator = new Authenticator({ db: pool, allowedOrigins: cors.origins });
  const langgraphVersion = (createRequire(import.meta.url)("@langchain/langgraph/package.json") as { version: string })
    .version;
  const known = [
    ...graphRoutes(gateway),
    ...assistantRoutes(gateway),
    ...threadRoutes(gateway),
    ...submitRoutes(gateway),
    ...runRoutes(gateway),
    ...followRoutes(gateway),
    ...deadLetterRoutes(gateway),
  ];
  known.push(
    ...systemRoutes({
      gateway,
      prometheus,
      clock,
      langgraphVersion,
      metricsPublic: config.METRICS_PUBLIC,
      disabled: http.disabled,
      isStopping: () => stopping,
      openApi: () => describeApi(routes, mountPrefix),
    }),
  );
  const routes = servedRoutes(known, http.disabled);
  const app = createApp({
    gateway,
    authenticator,
    routes,
    docs: !http.disabled.has("meta"),
    cors,
    loggedHeaders: new HeaderPicker(http.loggingHeaders),
    trustProxyHops: config.TRUST_PROXY_HOPS,
    maxBodyBytes: config.MAX_BODY_BYTES,
    maxJsonDepth: config.MAX_JSON_DEPTH,
  });

  const requestTimeout = config.REQUEST_TIMEOUT_SECS * 1000;
  const server = createServer(
    {
      requestTimeout,
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, requestTimeout),
      connectionsCheckingInterval: 1_000, // what is late is found by this; Node's default of 30 s triples a limit of 15 s
      keepAliveTimeout: 65_000,
      maxHeaderSize: 16 * 1024,
    },
    app,
  );
  const open = await authenticator.hasKeys();
  const loopback = /^(127\.|::1$|localhost$)/.test(config.HOST);
  if (!open) logger.warn("no API key is configured: only this machine may call (npm run keys -- create makes a key)");
  const host = open || loopback ? config.HOST : "127.0.0.1";
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(config.PORT, host, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  const url = `http://${address.includes(":") ? `[${address}]` : address}:${port}${mountPrefix}`;

  stopOnSignals({
    logger,
    exit: (code) => process.exit(code),
    deadlineMs: config.SHUTDOWN_GRACE_SECS * 1000,
    stop: async () => {
      stopping = true;
      const closed = new Promise((resolve) => server.close(resolve));
      streams.endAll();
      endedRuns.endAll();
      // A kept-alive connection is idle only when its answer is out, which may be after this.
      const idle = setInterval(() => server.closeIdleConnections(), 100);
      const patience = setTimeout(() => server.closeAllConnections(), (config.SHUTDOWN_GRACE_SECS - 5) * 1000);
      await closed;
      clearTimeout(patience);
      clearInterval(idle);
      await lifecycle.stop();
    },
  });
  logger.info({ version: VERSION, url, graphs: registry.ids }, "gateway ready");
  process.send?.({ type: "ready", url });
} catch (error) {
  const inUse = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
  process.stderr.write(
    `flotilla gateway: ${inUse ? `port ${process.env["PORT"] ?? 2024} is in use; choose another with PORT` : messageOf(error)}\n`,
  );
  process.exit(1);
}
