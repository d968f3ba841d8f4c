import type { Request } from "express";
import { expect, test } from "vitest";
import { waitSeconds } from "./prefer-wait.ts";

const request = (prefer?: string) => ({ headers: { prefer } }) as unknown as Request;

test.each([
  [undefined, 0],
  ["wait=10", 10],
  ["respond-async, wait=20", 20],
  ["respond-async; foo=bar, wait = 5", 5],
  ['wait="7"', 7],
  ["wait=9999", 300],
  ["wait=-1", 0],
  ["wait=soon", 0],
  ["await=3", 0],
])("Prefer: %s waits %i s", (prefer, seconds) => {
  expect(waitSeconds(request(prefer), {})).toBe(seconds);
});

test.each([
  [5, 5],
  [300, 300],
  [301, 300],
])("?wait=%i waits %i s", (wait, seconds) => {
  expect(waitSeconds(request(), { wait })).toBe(seconds);
});

test("the query wins over the header", () => {
  expect(waitSeconds(request("wait=10"), { wait: 0 })).toBe(0);
});
