import { Redis } from "ioredis";
import type { Logger } from "../process/logger.ts";

export type { Redis };

/**
 * Prefix of every key and channel. The hash tag keeps all of them in one slot of a Redis Cluster, which BullMQ's scripts need.
 */
export const DEFAULT_PREFIX = "{flotilla}";

/** How a connection behaves while Redis is away. */
export type ConnectionUse =
  /** Fails at once: a request must never hang on Redis. */
  | "producer"
  /** Waits for ever: BullMQ's workers, which have nothing to do without Redis. */
  | "worker"
  /** Subscribes; resubscribes by itself after a reconnect. */
  | "subscriber";

/** Opens a connection of its own. Errors are logged, once per outage, and never thrown as events. */
export function connectRedis(url: string, use: ConnectionUse, logger: Logger): Redis {
  const options = {
    maxRetriesPerRequest: use === "producer" ? 1 : null,
    enableOfflineQueue: use !== "producer",
    connectTimeout: 5_000,
    retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 5), 1_000),
    connectionName: `flotilla:${use}`,
    autoResubscribe: true,
    lazyConnect: false,
    ...(use === "producer" ? { commandTimeout: 5_000 } : {}),
  };
  const redis = new Redis(url, options);
  let down = false;
  redis.on("error", (error: Error) => {
    if (!down) logger.warn({ err: error.message, use }, "Redis is not reachable");
    down = true;
  });
  redis.on("ready", () => {
    if (down) logger.info({ use }, "Redis is back");
    down = false;
  });
  return redis;
}

/** Loud warnings about settings under which Redis silently loses jobs. */
export async function checkRedisSettings(redis: Redis): Promise<string[]> {
  const [policy, appendOnly] = await Promise.all([
    redis.config("GET", "maxmemory-policy") as Promise<string[] | Record<string, string>>,
    redis.config("GET", "appendonly") as Promise<string[] | Record<string, string>>,
  ]);
  const warnings: string[] = [];
  const value = (reply: string[] | Record<string, string>, name: string) =>
    Array.isArray(reply) ? reply[1] : reply[name];
  const evicts = value(policy, "maxmemory-policy");
  if (evicts !== undefined && evicts !== "noeviction") {
    warnings.push(
      `Redis evicts keys (maxmemory-policy ${evicts}): queued jobs can vanish. Set maxmemory-policy noeviction`,
    );
  }
  if (value(appendOnly, "appendonly") === "no") {
    warnings.push("Redis keeps nothing on disk (appendonly no): a restart loses live streams. Set appendonly yes");
  }
  return warnings;
}
