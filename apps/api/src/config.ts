import * as z from "zod";
import { count, days, flag, port, seconds } from "@flotilla/shared/process/env";
import { mountPrefix } from "@flotilla/shared/graphs/http-settings";
import { assistantDefaults } from "@flotilla/shared/protocol/assistant-body";
import type { RunRetention } from "@flotilla/shared/runs/run-retention-queries";
import type { HistoryRetention } from "@flotilla/shared/threads/thread-retention-queries";
import { DEFAULT_PREFIX } from "@flotilla/shared/redis/connection";

/** Settings of the gateway. Names follow the field: LangGraph's and node-postgres' where they have one. */
export const gatewayEnv = z.object({
  DATABASE_URL: z
    .string({ error: "is missing: where is Postgres? For example postgresql://user@127.0.0.1:5432/flotilla" })
    .describe("Postgres; also as DATABASE_URI"),
  REDIS_URL: z
    .string({ error: "is missing: where is Redis? For example redis://127.0.0.1:6379" })
    .describe("Redis, with noeviction and append-only persistence; also as REDIS_URI"),
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w{}:.-]{1,64}$/)
    .default(DEFAULT_PREFIX)
    .describe("Prefix of all keys and channels, a hash tag for Redis Cluster"),
  POOL_MIN_SIZE: z.coerce.number().int().min(0).default(2).describe("Postgres connections kept open"),
  POOL_MAX_SIZE: count
    .default(10)
    .describe("Most Postgres connections of this process; times replicas it must stay below max_connections"),
  POOL_TIMEOUT_SECS: seconds
    .default(10)
    .describe("How long a request waits for one of these connections, then 503 `database_busy`"),
  PREPARED_STATEMENTS: flag
    .default(true)
    .describe("Named prepared statements; off for a PgBouncer in transaction mode that does not know them"),
  FLOTILLA_CONFIG: z.string().default("langgraph.json").describe("The graphs, in LangGraph's format"),
  LANGGRAPH_CONFIG: assistantDefaults
    .prefault("{}")
    .describe("Config of the default assistants: JSON, graph id to `{configurable, context, …}`"),
  FLOTILLA_PROCESS_TITLE: z.string().default("flotilla gateway").describe("Title of the process"),
  HOST: z
    .string()
    .default("127.0.0.1")
    .describe("Without any API key the gateway listens on loopback whatever is said here"),
  PORT: port.default(2024).describe("Where the API is served; 0 lets the system choose"),
  ALLOWED_ORIGINS: z
    .string()
    .default("")
    .describe(
      "Origins of web pages that may call the API, separated by commas; `*` for all, then without credentials. Instead of those in langgraph.json",
    ),
  MOUNT_PREFIX: mountPrefix
    .optional()
    .describe("Path below which the API is served, e.g. `/api`; instead of `http.mount_prefix` in langgraph.json"),
  TRUST_PROXY_HOPS: z.coerce
    .number()
    .int()
    .min(0)
    .max(10)
    .default(0)
    .describe("Proxies in front whose X-Forwarded-* headers count"),
  MAX_BODY_BYTES: count.default(4 * 1024 * 1024).describe("Largest body of a request"),
  REQUEST_TIMEOUT_SECS: seconds
    .default(60)
    .describe("Longest time for a request's headers and body to arrive, then 408. Answers may take longer"),
  MAX_JSON_DEPTH: count.default(100).describe("Deepest nesting of a body"),
  MAX_PENDING_RUNS: count
    .default(100_000)
    .describe(
      "Pending runs of all tenants from which on submissions are answered 503 `too_many_pending_runs`; counted once a second",
    ),
  MAX_PENDING_RUNS_PER_TENANT: count
    .optional()
    .describe("The same of each tenant, 503 `too_many_pending_runs_of_tenant`"),
  REDIS_MEMORY_LIMIT_PERCENT: z.coerce
    .number()
    .int()
    .min(1)
    .max(100)
    .default(90)
    .describe("Share of Redis' `maxmemory` from which on submissions are answered 503 `redis_full`"),
  REDIS_MEMORY_LIMIT_BYTES: count
    .optional()
    .describe("The same in bytes, for a Redis that does not say its `maxmemory`"),
  RUN_RETENTION_DAYS: days
    .optional()
    .describe(
      "Rows of runs that ended so long ago are deleted, but for the newest of each thread; not set: they stay as long as their thread",
    ),
  DEAD_LETTER_RETENTION_DAYS: days
    .default(30)
    .describe(
      "How long a dead letter that nobody has acknowledged is kept where its run would go earlier: by RUN_RETENTION_DAYS, or because it had no thread of its own",
    ),
  CHECKPOINT_RETENTION_DAYS: days
    .optional()
    .describe(
      "Threads that have not changed for so long are reduced to their newest state; not set: their history stays",
    ),
  CHECKPOINT_HISTORY_LIMIT: count
    .optional()
    .describe("Most checkpoints of the graph that are kept of a thread at rest; not set: all"),
  RETENTION_INTERVAL_SECS: seconds
    .max(1_000_000)
    .default(600)
    .describe("Time between two sweeps of what these settings let go"),
  STREAM_STALL_SECS: seconds
    .default(60)
    .describe("A client of a stream that takes nothing for this long is closed; it can resume with Last-Event-ID"),
  METRICS_PUBLIC: flag.default(false).describe("Whether /metrics answers without a key on a server that has keys"),
  SHUTDOWN_GRACE_SECS: seconds.default(30).describe("From SIGTERM to exit"),
  LEASE_SECS: seconds
    .default(6)
    .describe("How long a run stays with a worker that does not renew; the same everywhere"),
  MAX_QUEUED_RUNS_PER_TENANT: z.coerce
    .number()
    .int()
    .min(0)
    .default(32)
    .describe(
      "Most runs of a tenant that wait in the queue; its others are held until one of them starts, so that nobody waits behind them. 0 for no bound. Of the whole fleet: the gateway that started last decides",
    ),
  MAX_RUNNING_RUNS_PER_TENANT: count
    .optional()
    .describe("Most runs of a tenant that run at once; unbounded by default. Of the whole fleet, as above"),
  LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"])
    .default("info")
    .describe("Least level of log lines"),
});
export type GatewayConfig = z.output<typeof gatewayEnv>;

/** What is to go of runs and of the history of threads; undefined: nothing. */
export function retentionOf(config: GatewayConfig): {
  runs: RunRetention | undefined;
  history: HistoryRetention | undefined;
} {
  const { RUN_RETENTION_DAYS, DEAD_LETTER_RETENTION_DAYS, CHECKPOINT_RETENTION_DAYS, CHECKPOINT_HISTORY_LIMIT } =
    config;
  const nothing = CHECKPOINT_RETENTION_DAYS === undefined && CHECKPOINT_HISTORY_LIMIT === undefined;
  return {
    runs:
      RUN_RETENTION_DAYS === undefined
        ? undefined
        : { days: RUN_RETENTION_DAYS, deadLetterDays: DEAD_LETTER_RETENTION_DAYS },
    history: nothing ? undefined : { idleDays: CHECKPOINT_RETENTION_DAYS, checkpoints: CHECKPOINT_HISTORY_LIMIT },
  };
}
