import type { Redis } from "./connection.ts";

export interface RedisMemory {
  /** Bytes that count towards the limit. */
  used: number;
  /** `maxmemory` in bytes; 0 is none. */
  max: number;
}

/**
 * What Redis uses, and what it may use. The buffers of replicas and of the append-only file are not counted, as Redis itself
 * does not count them when it refuses a write. Read from INFO, which a managed Redis answers where it refuses CONFIG.
 */
export async function readRedisMemory(redis: Redis): Promise<RedisMemory> {
  const info = await redis.info("memory");
  const value = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
  return { used: value("used_memory") - value("mem_not_counted_for_evict"), max: value("maxmemory") };
}
