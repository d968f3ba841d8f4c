import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, inject } from "vitest";

const prefixes: string[] = [];

afterAll(async () => {
  if (prefixes.length === 0) return;
  const redis = connectTestRedis();
  for (const prefix of prefixes) await deleteKeys(redis, prefix);
  await redis.quit();
});

export function testRedisUrl(): string {
  return inject("redisUrl");
}

/** A connection of the test's own; close it with `quit`. */
export function connectTestRedis(): Redis {
  return new Redis(testRedisUrl());
}

/**
 * A key prefix for this test alone, as a hash tag like the real one (`{flotilla}`), so that a cluster would keep its
 * keys together. Its keys are deleted when the test file is through.
 */
export function testPrefix(): string {
  const prefix = `{test-${randomBytes(6).toString("hex")}}`;
  prefixes.push(prefix);
  return prefix;
}

async function deleteKeys(redis: Redis, prefix: string): Promise<void> {
  let cursor = "0";
  do {
    const [next, keys] = await redis.scan(cursor, "MATCH", `${prefix}*`, "COUNT", 1000);
    if (keys.length > 0) await redis.unlink(...keys);
    cursor = next;
  } while (cursor !== "0");
}
