import { pingRedis, type RedisAddress } from "../stack/redis-ping.ts";
import { StartupError } from "../stack/startup-error.ts";
import { withAddress, withoutAddress, type GivenAddress } from "./settings.ts";

/**
 * Looks whether a Redis that somebody else runs can be used: without it runs would be accepted and wait for ever.
 *
 * @param start the command that is under way, to be said again in what mends it
 * @returns its version, empty when it does not tell
 * @throws StartupError
 */
export async function checkGivenRedis(given: GivenAddress, start: string): Promise<string> {
  const redis = parseRedisAddress(given.address);
  const fail = (why: string, remedy: string): never => {
    throw new StartupError("redis", `${given.variable}: ${why}`, { remedy });
  };
  if (redis === undefined) {
    return fail("it is not the address of a Redis", withAddress(given, "redis://host:6379", start));
  }
  const { host, port, tls } = redis;
  const server = `${host}:${port}`;
  const answer = await pingRedis(redis);
  if ("version" in answer) return answer.version;
  if ("loading" in answer) {
    return fail(`the Redis at ${server} is not ready yet (${answer.loading})`, `${start}   (in a moment)`);
  }
  if ("refusal" in answer) {
    const correct = `${tls ? "rediss" : "redis"}://:password@${server}`;
    return fail(`the Redis at ${server} refuses us (${answer.refusal})`, withAddress(given, correct, start));
  }
  return fail(
    `no Redis can be reached at ${server} (${answer.silence})`,
    `redis-cli -h ${host} -p ${port}${tls ? " --tls" : ""} ping   (start that Redis, or correct the address)\n` +
      `or ${withoutAddress(given, start)}   (starts a Redis of its own)`,
  );
}

/** `redis://user:password@host:port/database`, `rediss://…`, or `host:port`. */
export function parseRedisAddress(address: string): RedisAddress | undefined {
  try {
    const url = new URL(/^\w+:\/\//.test(address) ? address : `redis://${address}`);
    if (!["redis:", "rediss:"].includes(url.protocol)) return undefined;
    const database = Number(url.pathname.slice(1) || "0");
    return {
      host: url.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1",
      port: Number(url.port) || 6379,
      ...(url.username !== "" && { username: decodeURIComponent(url.username) }),
      ...(url.password !== "" && { password: decodeURIComponent(url.password) }),
      ...(Number.isInteger(database) && { database }),
      tls: url.protocol === "rediss:",
    };
  } catch {
    return undefined;
  }
}
