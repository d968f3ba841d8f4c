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

/**
 * Warns loudly of settings under which Redis silently loses jobs. Read from INFO, which a managed Redis answers where it refuses
 * CONFIG.
 */
export async function checkRedisSettings(redis: Redis, logger: Logger): Promise<void> {
  let info: string;
  try {
    info = (await Promise.all([redis.info("memory"), redis.info("persistence")])).join("\n");
  } catch (error) {
    const facts = { err: error instanceof Error ? error.message : String(error) };
    logger.warn(
      facts,
      "the settings of Redis could not be read: see to it that it has maxmemory-policy noeviction, appendonly yes",
    );
    return;
  }
  const value = (name: string) => new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1];
  const [evicts, appends] = [value("maxmemory_policy"), value("aof_enabled")];
  if (evicts !== undefined && evicts !== "noeviction") {
    logger.warn(
      `Redis evicts keys (maxmemory-policy ${evicts}): queued jobs can vanish. Set maxmemory-policy noeviction`,
    );
  }
  if (appends === "0") {
    logger.warn("Redis keeps nothing on disk (appendonly no): a restart loses live streams. Set appendonly yes");
  }
  logger.debug({ maxmemory_policy: evicts, aof_enabled: appends }, "the settings of Redis were read");
}
