import * as z from "zod";
import { count, flag, port, seconds } from "@flotilla/shared/process/env";
import { jsonText } from "@flotilla/shared/protocol/text";
import { DEFAULT_PREFIX } from "@flotilla/shared/redis/connection";

/** In US dollars for a million tokens, by the name of the model as the application asks for it. */
const modelPrices = z.record(
  z.string(),
  z.object({ input: z.number().nonnegative(), output: z.number().nonnegative() }),
);
export type ModelPrices = z.output<typeof modelPrices>;

/** Settings of a worker. Names follow the field: LangGraph's and node-postgres' where they have one. */
export const workerEnv = z.object({
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
  FLOTILLA_PROCESS_TITLE: z.string().default("flotilla worker").describe("Title of the process"),
  N_JOBS_PER_WORKER: count.default(10).describe("Runs executed at once"),
  BG_JOB_TIMEOUT_SECS: seconds
    .default(3600)
    .describe("Longest execution of a run, from its first start over all attempts"),
  SHUTDOWN_GRACE_SECS: seconds
    .default(60)
    .describe(
      "From SIGTERM to exit. A node that still runs a few seconds before is aborted and its step repeated elsewhere",
    ),
  WORKER_HOST: z.string().default("127.0.0.1").describe("Where /health, /ready and /metrics are served"),
  WORKER_PORT: port.default(8001).describe("Port of these; 0 lets the system choose"),
  EVENTS_MAX_COUNT: count.default(20_000).describe("Most events kept of one run for clients that reconnect"),
  EVENTS_MAX_BYTES: count.default(16 * 1024 * 1024).describe("Most bytes kept of one run's events"),
  WORKER_NICENESS: z.coerce
    .number()
    .int()
    .min(0)
    .max(19)
    .default(0)
    .describe("Unix niceness of the code that executes graphs, for a machine that a gateway shares; npm start uses 5"),
  LEASE_SECS: seconds
    .default(6)
    .describe("How long a run stays with a worker that does not renew; the same everywhere"),
  LOOP_LIMIT_SECS: seconds
    .default(60)
    .describe("How long a node may compute without giving way before its worker gives its runs up"),
  MODEL_PRICES: jsonText
    .pipe(modelPrices)
    .prefault("{}")
    .describe(
      'What models cost, for `flotilla_cost_usd_total`: JSON such as {"gpt-x": {"input": 2.5, "output": 10}}, in US dollars for a million tokens',
    ),
  LOG_LEVEL: z
    .enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"])
    .default("info")
    .describe("Least level of log lines"),
  FLOTILLA_SOLO_RUN: z.uuid().optional().describe("Set by a worker for the child that executes one run by itself"),
});
export type WorkerConfig = z.output<typeof workerEnv>;
