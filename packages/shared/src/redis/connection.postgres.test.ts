import { once } from "node:events";
import { Writable } from "node:stream";
import { pino } from "pino";
import { expect, test } from "vitest";
import { startOwnRedis } from "../../../../test/support/own-servers.ts";
import { checkRedisSettings, connectRedis } from "./connection.ts";

/** What is said about a Redis, without the level `debug`. */
async function warningsOf(check: (logger: pino.Logger) => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const stream = new Writable({ write: (line, _encoding, done) => (lines.push(String(line)), done()) });
  await check(pino({ level: "info" }, stream));
  return lines
    .map((line) => JSON.parse(line) as { level: number; msg: string })
    .map(({ level, msg }) => `${level} ${msg}`);
}

test("a Redis that evicts keys, keeps nothing on disk or does not tell is warned about, another is not", async () => {
  const server = await startOwnRedis();
  const redis = connectRedis(server.url, "producer", pino({ level: "silent" }));
  await once(redis, "ready");
  const said = () => warningsOf((logger) => checkRedisSettings(redis, logger));
  expect(await said()).toEqual([]);

  await redis.config("SET", "maxmemory-policy", "allkeys-lru");
  expect(await said()).toEqual([expect.stringMatching(/^40 Redis evicts keys \(maxmemory-policy allkeys-lru\)/)]);

  await redis.config("SET", "maxmemory-policy", "noeviction");
  await redis.config("SET", "appendonly", "no");
  await redis.call("ACL", "SETUSER", "default", "-config"); // as on a managed Redis
  expect(await said()).toEqual([expect.stringMatching(/^40 Redis keeps nothing on disk \(appendonly no\)/)]);

  await redis.call("ACL", "SETUSER", "default", "-info");
  expect(await said()).toEqual([expect.stringMatching(/^40 the settings of Redis could not be read/)]);
  redis.disconnect();
});
