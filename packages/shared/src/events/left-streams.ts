import type { Redis } from "../redis/connection.ts";
import { streamKey } from "./event-keys.ts";
import { LIVE_TTL_MS } from "./event-log.ts";

/** Keys that a step looks at. */
const PAGE = 500;

/**
 * Gives streams that have no time to live one, that of a stream whose run lives. A writer sets it with its first entry and with
 * its last; after Redis was wiped in between, the next entry makes a stream without one, and its writer may die before it renews
 * it. A run that lives renews the time that it is given here.
 * @param goesOn asked between two pages.
 * @returns how many streams there are, undefined when it had to end early; and how many had no time to live.
 */
export async function expireLeftStreams(
  redis: Redis,
  prefix: string,
  goesOn: () => Promise<boolean>,
): Promise<{ streams: number | undefined; expiring: number }> {
  const seen = new Set<string>();
  let expiring = 0;
  for (let cursor = "0"; ;) {
    const [next, keys] = await redis.scan(cursor, "MATCH", streamKey(prefix, "*"), "COUNT", PAGE);
    const lives = redis.pipeline();
    for (const key of keys) lives.pttl(key);
    const left = await lives.exec();
    const expire = redis.pipeline();
    for (const [i, key] of keys.entries()) {
      seen.add(key);
      if (left?.[i]?.[1] === -1) expire.pexpire(key, LIVE_TTL_MS);
    }
    expiring += expire.length;
    await expire.exec();
    if (next === "0") return { streams: seen.size, expiring };
    if (!(await goesOn())) return { streams: undefined, expiring };
    cursor = next;
  }
}
