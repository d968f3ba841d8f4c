import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { connectTestRedis, testPrefix } from "../../../../test/support/redis.ts";
import { eventually } from "../../../../test/support/wait.ts";
import type { Redis } from "../redis/connection.ts";
import { decodeEntry, type RunEvent } from "./event-batch.ts";
import { BEGINNING, formatEventId } from "./event-id.ts";
import { EventLog } from "./event-log.ts";
import { itemsAfter } from "./event-tail.ts";
import { streamKey } from "./event-keys.ts";
import { closingEvents, hasEnd, writeMissingEnd } from "./missing-end.ts";

let redis: Redis;
const prefix = testPrefix();

beforeAll(() => {
  redis = connectTestRedis();
});
afterAll(async () => {
  await redis.quit();
});

const open = (runId: string, attempt: number, cap = { events: 1000, bytes: 1_000_000 }) =>
  new EventLog({ redis, prefix, runId, attempt, cap, followed: true });
const stored = async (runId: string) => {
  const entries = await redis.xrange(streamKey(prefix, runId), "-", "+");
  return entries.map(decodeEntry);
};
const names = (events: RunEvent[]) => events.map((event) => `${event.event} ${formatEventId(event.id)}`);

test("events appended in one turn share an entry, and nothing is lost or reordered", async () => {
  const runId = randomUUID();
  const log = open(runId, 1);
  for (let i = 1; i <= 500; i++) log.append("custom", String(i));
  await log.end("{}");
  const batches = await stored(runId);
  const events = batches.flatMap((batch) => batch.events);
  expect(events.slice(0, -1).map((event) => Number(event.data))).toEqual(Array.from({ length: 500 }, (_, i) => i + 1));
  expect(itemsAfter(batches, BEGINNING).some((item) => item.kind === "gap")).toBe(false);
  expect(batches.length).toBeLessThan(20);
});

test("events of a run that nobody follows wait for each other, and go out at once when somebody does", async () => {
  const runId = randomUUID();
  const log = new EventLog({
    redis,
    prefix,
    runId,
    attempt: 1,
    cap: { events: 1000, bytes: 1_000_000 },
    followed: false,
  });
  log.append("a", "1");
  await delay(50); // longer than the pause between appends that somebody follows, and far shorter than a second
  expect(await stored(runId)).toEqual([]);
  log.append("b", "1");
  log.follow();
  await eventually(async () => (await stored(runId)).length > 0, { timeoutMs: 500 });
  expect((await stored(runId)).map(({ events }) => names(events))).toEqual([["a 1-1", "b 1-2"]]);
});

test("a large event does not share an entry", async () => {
  const runId = randomUUID();
  const log = open(runId, 1, { events: 1000, bytes: 100_000_000 });
  for (let i = 0; i < 5; i++) log.append("custom", JSON.stringify("x".repeat(60_000)));
  await log.flush();
  expect((await stored(runId)).map((batch) => batch.events.length)).toEqual([1, 1, 1, 1, 1]);
});

test("an earlier attempt cannot write any more once a later one has", async () => {
  const runId = randomUUID();
  const zombie = open(runId, 1);
  zombie.append("a", "1");
  await zombie.flush();
  const successor = open(runId, 2);
  expect(await successor.previousEnd()).toEqual({ attempt: 1, n: 1n });
  successor.append("b", "1");
  await successor.flush();
  zombie.append("z", "1");
  await zombie.end("{}");
  await successor.end("{}");
  expect((await stored(runId)).flatMap((batch) => names(batch.events))).toEqual([
    "a 1-1",
    "b 2-1",
    "end 2-18446744073709551615",
  ]);
});

test("the oldest events are dropped beyond the cap, and readers see it", async () => {
  const runId = randomUUID();
  const log = open(runId, 1, { events: 10, bytes: 1_000_000 });
  for (let i = 1; i <= 40; i++) {
    log.append("custom", String(i));
    await log.flush();
  }
  const batches = await stored(runId);
  expect(batches.flatMap((batch) => batch.events)).toHaveLength(10);
  expect(itemsAfter(batches, BEGINNING)[0]).toMatchObject({ kind: "gap", id: { attempt: 1, n: 30n } });
});

test("bytes are capped as well, but the newest event always stays", async () => {
  const runId = randomUUID();
  const log = open(runId, 1, { events: 1000, bytes: 100 });
  for (let i = 0; i < 3; i++) {
    log.append("custom", JSON.stringify("x".repeat(500)));
    await log.flush();
  }
  expect((await stored(runId)).flatMap((batch) => names(batch.events))).toEqual(["custom 1-3"]);
});

test("whoever writes a missing end writes the same, once; the worker's own end comes too late", async () => {
  const runId = randomUUID();
  const log = open(runId, 1);
  log.append("metadata", "{}");
  await log.flush();
  const facts = { runId, attempt: 1, status: "success", values: "{}", error: null };
  await Promise.allSettled(
    Array.from({ length: 3 }, () => writeMissingEnd(redis, prefix, runId, closingEvents(facts))),
  );
  await log.end("{}");
  expect(await hasEnd(redis, prefix, runId)).toBe(true);
  expect((await stored(runId)).flatMap((batch) => batch.events.map((event) => event.event))).toEqual([
    "metadata",
    "gap",
    "values",
    "end",
  ]);
});

test("when the worker's own end is there, nothing of a missing one is added", async () => {
  const runId = randomUUID();
  const log = open(runId, 1);
  log.append("metadata", "{}");
  await log.end("{}");
  await writeMissingEnd(
    redis,
    prefix,
    runId,
    closingEvents({ runId, attempt: 1, status: "success", values: "{}", error: null }),
  ).catch(() => {});
  expect((await stored(runId)).flatMap((batch) => batch.events.map((event) => event.event))).toEqual([
    "metadata",
    "end",
  ]);
});

test("a live stream outlives silence; an ended one expires", async () => {
  const runId = randomUUID();
  const log = open(runId, 1);
  log.append("metadata", "{}");
  await log.flush();
  expect(await redis.pttl(streamKey(prefix, runId))).toBeGreaterThan(3_000_000);
  await log.end("{}");
  const ttl = await eventually(() => redis.pttl(streamKey(prefix, runId)));
  expect(ttl).toBeLessThanOrEqual(900_000);
});

test("the end waits for a Redis that is slow but takes the events, and not for one that takes none", async () => {
  const runId = randomUUID();
  const takes = { ms: 700, all: true };
  const log = new EventLog({
    ...{ redis, prefix, runId, attempt: 1, cap: { events: 1000, bytes: 1_000_000 }, followed: true },
    failpoint: async (name) => {
      if (name !== "before_events") return;
      await delay(takes.all ? takes.ms : 60_000, undefined, { ref: false });
    },
  });
  for (let i = 0; i < 4; i++) log.append("custom", JSON.stringify("x".repeat(64_000))); // an entry each
  await log.flush();
  expect((await stored(runId)).map(({ events }) => names(events))).toEqual([
    ["custom 1-1"],
    ["custom 1-2"],
    ["custom 1-3"],
    ["custom 1-4"],
  ]);
  takes.all = false;
  log.append("custom", "1");
  const before = performance.now();
  await log.flush();
  expect(performance.now() - before).toBeLessThan(5_000);
  log[Symbol.dispose]();
});
