import { expect, test } from "vitest";
import { readableLine } from "./log-lines.ts";

const WARNING = JSON.stringify({
  level: 40,
  time: 1,
  pid: 2,
  msg: "a lease ran out",
  run_id: "r1",
  err: { message: "gone" },
});
const INFO = JSON.stringify({ level: 30, time: 1, pid: 2, msg: "listening" });

test("a warning becomes one readable line", () => {
  expect(readableLine("worker 1", WARNING, false)).toBe("worker 1  warn  a lease ran out  gone  run_id=r1");
});

test("information is shown only when everything is", () => {
  expect(readableLine("gateway", INFO, false)).toBeUndefined();
  expect(readableLine("gateway", INFO, true)).toContain("info  listening");
});

test("what a graph prints is shown as it is, JSON included", () => {
  expect(readableLine("worker 1", "hello from a node", false)).toContain("hello from a node");
  expect(readableLine("worker 1", '{"answer":42}', false)).toContain('{"answer":42}');
});

test("empty lines are not shown", () => {
  expect(readableLine("worker 1", "", true)).toBeUndefined();
});
