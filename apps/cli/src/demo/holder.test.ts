import { expect, test } from "vitest";
import type { DevNotes } from "../dev/dev-lock.ts";
import { describeHolder, parseHolder } from "./holder.ts";

const start = { processes: [{ name: "worker 2", pid: 4711, start: "1" }] } as unknown as DevNotes;

test("the holder in a run's row names a host and a process, even where the host's name has colons", () => {
  expect(parseHolder("my-laptop:4711:a1b2c3d4")).toEqual({ host: "my-laptop", pid: 4711 });
  expect(parseHolder("fe80::1:4711:a1b2c3d4")).toEqual({ host: "fe80::1", pid: 4711 });
  expect(parseHolder("")).toBeUndefined();
});

test("a worker of this start is told by its name, and how to kill it", () => {
  const text = "worker 2 (pid 4711) holds the run. Try it: kill -9 4711";
  expect(describeHolder({ host: "here", pid: 4711 }, start, "here")).toBe(text);
  expect(describeHolder({ host: "here", pid: 12 }, undefined, "here")).toContain("a worker (pid 12) holds the run");
});

test("nobody is told to kill a number that means a process of another machine", () => {
  expect(describeHolder({ host: "there", pid: 4711 }, start, "here")).not.toContain("kill");
});
