import { pino } from "pino";
import { expect, test } from "vitest";
import { QUEUE_NAME, RunQueue } from "@flotilla/shared/queue/run-queue";
import { connectRedis } from "@flotilla/shared/redis/connection";
import { connectTestRedis, testPrefix, testRedisUrl } from "../../../test/support/redis.ts";
import { eventually } from "../../../test/support/wait.ts";
import { RunConsumer } from "./run-consumer.ts";

const logger = pino({ level: "silent" });

test("a job of a worker that is gone is taken back, said to have stalled, and executed", async () => {
  const [redis, prefix] = [connectTestRedis(), testPrefix()];
  await eventually(() => redis.status === "ready");
  const queue = new RunQueue({ redis, prefix, logger, capMs: 2_000 });
  await queue.enqueue({ run_id: "lost", attempt: 0, dispatch: 1, dispatched_at: Date.now() });
  // As such a worker leaves it: the job is active, its lock has run out, and another worker has missed the lock once already.
  const key = (name: string): string => `${prefix}:${QUEUE_NAME}:${name}`;
  const job = await redis.lmove(key("wait"), key("active"), "RIGHT", "LEFT");
  await redis.sadd(key("stalled"), job ?? "");

  let stalled = 0;
  const executed: string[] = [];
  const connection = connectRedis(testRedisUrl(), "worker", logger);
  const consumer = new RunConsumer({
    redis: connection,
    prefix,
    concurrency: 1,
    logger,
    execute: async (runId) => void executed.push(runId),
    onStalled: () => stalled++,
  });
  await eventually(() => executed.length > 0);
  expect([executed, stalled]).toEqual([["lost"], 1]);
  await consumer.close();
  connection.disconnect();
  await queue.close();
  await redis.quit();
});
