import { Redis } from "ioredis";
import { expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { startOwnRedis } from "../support/own-servers.ts";
import { Stack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

test("a gateway warns at its start of a Redis under which jobs or streams can vanish", async () => {
  const [database, server] = await Promise.all([createTestDatabase(), startOwnRedis()]);
  const redis = new Redis(server.url);
  await redis.config("SET", "maxmemory-policy", "allkeys-lru");
  await redis.config("SET", "appendonly", "no");
  await redis.quit();
  await using stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, redisUrl: server.url });
  const gateway = await stack.startGateway();
  await eventually(() => {
    expect(gateway.output()).toMatch(/"level":40.*Redis evicts keys .*Set maxmemory-policy noeviction/);
    expect(gateway.output()).toMatch(/"level":40.*Redis keeps nothing on disk .*Set appendonly yes/);
    return true;
  });
});
