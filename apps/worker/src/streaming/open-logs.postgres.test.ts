import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { streamKey } from "@flotilla/shared/events/event-keys";
import { connectTestRedis, testPrefix } from "../../../../test/support/redis.ts";
import { eventually } from "../../../../test/support/wait.ts";
import { OpenLogs } from "./open-logs.ts";

const HOUR_MS = 3_600_000;
const QUARTER_MS = 900_000;

const redis = connectTestRedis();
const prefix = testPrefix();
const logs = new OpenLogs(20);
afterAll(async () => {
  await logs.stop();
  await redis.quit();
});

const open = (runId: string, attempt = 1) =>
  logs.open({ redis, prefix, runId, attempt, cap: { events: 100, bytes: 100_000 }, followed: true });

/** Until the time that a stream is kept fulfils the condition. */
const kept = (runId: string, condition: (ms: number) => boolean): Promise<unknown> =>
  eventually(async () => condition(await redis.pttl(streamKey(prefix, runId))));

test("the stream of a run that is silent is kept for as long as the run lives, and for 15 minutes after", async () => {
  const runId = randomUUID();
  const log = open(runId);
  log.append("metadata", "{}");
  await log.flush();
  for (let silence = 0; silence < 3; silence++) {
    await redis.pexpire(streamKey(prefix, runId), 5_000); // nearly an hour has passed
    await kept(runId, (ms) => ms > HOUR_MS - 60_000);
  }

  await log.end("{}");
  expect(await redis.pttl(streamKey(prefix, runId))).toBeLessThanOrEqual(QUARTER_MS);
  expect(await redis.pttl(streamKey(prefix, runId))).toBeGreaterThan(QUARTER_MS - 60_000);
  await redis.pexpire(streamKey(prefix, runId), 500_000);
  await keepAliveTurns();
  expect(await redis.pttl(streamKey(prefix, runId))).toBeLessThanOrEqual(500_000); // nobody renews it any more
});

/** Until the logs that are open have been kept alive twice more. */
async function keepAliveTurns(): Promise<void> {
  const runId = randomUUID();
  const log = open(runId);
  log.append("metadata", "{}");
  await log.flush();
  for (let turn = 0; turn < 2; turn++) {
    await redis.pexpire(streamKey(prefix, runId), 5_000);
    await kept(runId, (ms) => ms > HOUR_MS - 60_000);
  }
  await log.close();
}

test("a stream that Redis lost and that is written anew expires like any other", async () => {
  const runId = randomUUID();
  const log = open(runId);
  log.append("metadata", "{}");
  await log.flush();
  await redis.unlink(streamKey(prefix, runId));
  log.append("custom", "1");
  await log.flush();
  await kept(runId, (ms) => ms > HOUR_MS - 60_000);
  await log.end("{}");
  const ttl = await redis.pttl(streamKey(prefix, runId));
  expect([ttl > 0, ttl <= QUARTER_MS]).toEqual([true, true]);
});
