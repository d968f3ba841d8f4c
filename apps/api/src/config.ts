import * as z from "zod";
import { count, flag, port, seconds } from "@flotilla/shared/process/env";
import { DEFAULT_PREFIX } from "@flotilla/shared/redis/connection";

/** Settings of the gateway. Names follow the field: LangGraph's and node-postgres' where they have one. */
export const gatewayEnv = z.object({
  DATABASE_URL: z.string({ error: "is missing: where is Postgres? For example postgresql://user@127.0.0.1:5432/flotilla" }),
  REDIS_URL: z.string({ error: "is missing: where is Redis? For example redis://127.0.0.1:6379" }),
  REDIS_PREFIX: z.string().regex(/^[\w{}:.-]{1,64}$/).default(DEFAULT_PREFIX),
  POOL_MIN_SIZE: z.coerce.number().int().min(0).default(2),
  POOL_MAX_SIZE: count.default(10),
  PREPARED_STATEMENTS: flag.default(true),
  FLOTILLA_CONFIG: z.string().default("langgraph.json"),
  FLOTILLA_PROCESS_TITLE: z.string().default("flotilla gateway"),
  /** Without any API key the gateway listens on loopback whatever is said here. */
  HOST: z.string().default("127.0.0.1"),
  PORT: port.default(2024),
  /** Origins of web pages that may call the API, separated by commas; `*` for all, then without credentials. */
  ALLOWED_ORIGINS: z.string().default(""),
  /** Proxies in front whose X-Forwarded-* headers count. */
  TRUST_PROXY_HOPS: z.coerce.number().int().min(0).max(10).default(0),
  MAX_BODY_BYTES: count.default(4 * 1024 * 1024),
  MAX_JSON_DEPTH: count.default(100),
  /** Whether /metrics answers without a key on a server that has keys. */
  METRICS_PUBLIC: flag.default(false),
  SHUTDOWN_GRACE_SECS: seconds.default(30),
  LEASE_SECS: seconds.default(6),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
});
export type GatewayConfig = z.output<typeof gatewayEnv>;
