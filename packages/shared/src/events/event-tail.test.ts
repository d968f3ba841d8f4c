import { expect, test } from "vitest";
import { decodeEntry } from "./event-batch.ts";
import { BEGINNING, compareEventIds, formatEventId, LAST_N, parseEventId, type EventId } from "./event-id.ts";
import { itemsAfter } from "./event-tail.ts";

const id = (text: string): EventId => parseEventId(text) as EventId;
const entry = (last: string, ...events: string[]) =>
  decodeEntry([last, events.flatMap((event) => (event.includes(" ") ? event.split(" ") : [event, "1"]))]);
const end = (attempt: number, last: string) => decodeEntry([`${attempt}-${LAST_N}`, ["end", "{}", "last", last]]);
const show = (batches: ReturnType<typeof decodeEntry>[], after = BEGINNING) =>
  itemsAfter(batches, after).flatMap((item) =>
    item.kind === "gap"
      ? [`gap ${formatEventId(item.id)}`]
      : item.events.map((event) => `${event.event} ${formatEventId(event.id)}`),
  );

test("an entry numbers its events backwards from its id", () => {
  expect(show([entry("1-3", "metadata", "values", "custom")])).toEqual(["metadata 1-1", "values 1-2", "custom 1-3"]);
});

test("a cursor in the middle of an entry gets the rest of it", () => {
  expect(show([entry("1-3", "metadata", "a", "b"), entry("1-4", "c")], id("1-2"))).toEqual(["b 1-3", "c 1-4"]);
});

test("what was seen is not given again", () => {
  expect(show([entry("1-3", "metadata", "a", "b")], id("1-3"))).toEqual([]);
});

test("a hole in the numbers is a gap that names the last missing event", () => {
  expect(show([entry("1-2", "metadata", "a"), entry("1-7", "b")])).toEqual([
    "metadata 1-1",
    "a 1-2",
    "gap 1-6",
    "b 1-7",
  ]);
  expect(show([entry("1-7", "b")])).toEqual(["gap 1-6", "b 1-7"]);
});

test("a new attempt follows without a gap when it names the last event of the one before", () => {
  const metadata = 'metadata {"attempt":2,"previous":"1-2"}';
  expect(show([entry("1-2", "metadata", "a"), entry("2-1", metadata)])).toEqual([
    "metadata 1-1",
    "a 1-2",
    "metadata 2-1",
  ]);
  expect(show([entry("2-1", metadata)], id("1-1"))).toEqual(["gap 1-2", "metadata 2-1"]);
  expect(show([entry("2-1", metadata)], id("1-2"))).toEqual(["metadata 2-1"]);
});

test("an attempt that found nothing of those before announces a gap", () => {
  expect(show([entry("2-1", 'metadata {"attempt":2,"previous":null}')], id("1-2"))).toEqual([
    `gap 1-${LAST_N - 1n}`,
    "metadata 2-1",
  ]);
});

test("an end that counts more events than were seen announces a gap", () => {
  expect(show([entry("1-2", "metadata", "a"), end(1, "2")])).toEqual(["metadata 1-1", "a 1-2", `end 1-${LAST_N}`]);
  expect(show([entry("1-2", "metadata", "a"), end(1, "5")])).toEqual([
    "metadata 1-1",
    "a 1-2",
    "gap 1-5",
    `end 1-${LAST_N}`,
  ]);
});

test("entries that nobody of ours wrote are passed over", () => {
  expect(show([decodeEntry(["1700000000000-abc", ["x", "y"]]), entry("1-1", "metadata")])).toEqual(["metadata 1-1"]);
});

test.each(["", "1", "1-", "-1", "a-1", "1-1-1", "1-99999999999999999999", "999999999999-1", "1.5-2", " 1-1"])(
  "%j is no event id",
  (text) => {
    expect(parseEventId(text)).toBeUndefined();
  },
);

test("ids are ordered by attempt, then by number, beyond what a double can hold", () => {
  expect(compareEventIds(id("1-9007199254740993"), id("1-9007199254740992"))).toBeGreaterThan(0);
  expect(compareEventIds(id(`1-${LAST_N}`), id("2-1"))).toBeLessThan(0);
  expect(compareEventIds(id("3-4"), id("3-4"))).toBe(0);
});
