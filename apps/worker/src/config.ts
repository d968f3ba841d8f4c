import * as z from "zod";
import { count, flag, port, seconds } from "@flotilla/shared/process/env";
import { DEFAULT_PREFIX } from "@flotilla/shared/redis/connection";

/** Settings of a worker. Names follow the field: LangGraph's and node-postgres' where they have one. */
export const workerEnv = z.object({
  DATABASE_URL: z.string({ error: "is missing: where is Postgres? For example postgresql://user@127.0.0.1:5432/flotilla" }),
  REDIS_URL: z.string({ error: "is missing: where is Redis? For example redis://127.0.0.1:6379" }),
  REDIS_PREFIX: z.string().regex(/^[\w{}:.-]{1,64}$/).default(DEFAULT_PREFIX),
  POOL_MIN_SIZE: z.coerce.number().int().min(0).default(2),
  POOL_MAX_SIZE: count.default(10),
  PREPARED_STATEMENTS: flag.default(true),
  FLOTILLA_CONFIG: z.string().default("langgraph.json"),
  FLOTILLA_PROCESS_TITLE: z.string().default("flotilla worker"),
  /** Runs executed at once. */
  N_JOBS_PER_WORKER: count.default(10),
  /** Longest execution of a run, from its first start over all attempts. */
  BG_JOB_TIMEOUT_SECS: seconds.default(3600),
  /** From SIGTERM to exit. A node that still runs a few seconds before is aborted and its step repeated elsewhere. */
  SHUTDOWN_GRACE_SECS: seconds.default(60),
  /** Where /health, /ready and /metrics are served; 0 lets the system choose. */
  WORKER_HOST: z.string().default("127.0.0.1"),
  WORKER_PORT: port.default(8001),
  /** Most events and bytes kept of one run for clients that reconnect. */
  EVENTS_MAX_COUNT: count.default(20_000),
  EVENTS_MAX_BYTES: count.default(16 * 1024 * 1024),
  LEASE_SECS: seconds.default(6),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
  /** Set by a worker for the child that executes one run by itself. */
  FLOTILLA_SOLO_RUN: z.uuid().optional(),
});
export type WorkerConfig = z.output<typeof workerEnv>;
