import * as z from "zod";
import { count, flag, port, seconds } from "@flotilla/shared/process/env";
import { mountPrefix } from "@flotilla/shared/graphs/http-settings";
import { assistantDefaults } from "@flotilla/shared/protocol/assistant-body";
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
