import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { knownProcess, readDevNotes, takeDevLock, type DevLock, type DevNotes } from "./dev-lock.ts";

const URL = "http://127.0.0.1:2024";

function lockFile(): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-lock-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, "dev.json");
}

function livingProcess() {
  const child = spawn("sleep", ["60"]);
  onTestFinished(() => void child.kill("SIGKILL"));
  return knownProcess("sleep", child.pid ?? 0);
}

function heldBy(file: string, notes: Partial<DevNotes>): void {
  writeFileSync(file, JSON.stringify({ url: URL, processes: [], ...notes }));
}

function taken(result: ReturnType<typeof takeDevLock>): DevLock {
  if ("heldBy" in result) throw new Error("the lock is held");
  return result;
}

test("a free lock is taken, kept up to date and given back", () => {
  const file = lockFile();
  const lock = taken(takeDevLock(file, URL));
  const worker = livingProcess();
  lock.update([worker]);
  expect(readDevNotes(file)).toMatchObject({ url: URL, launcher: { pid: process.pid }, processes: [worker] });
  lock.release();
  expect(readDevNotes(file)).toBeUndefined();
});

test("a lock of a living launcher is not taken, and tells where that is", () => {
  const file = lockFile();
  const launcher = livingProcess();
  heldBy(file, { launcher });
  expect(takeDevLock(file, URL)).toMatchObject({ heldBy: { launcher, url: URL } });
});

test("a lock of a dead launcher is taken, with the processes it left", () => {
  const file = lockFile();
  const left = livingProcess();
  const gone = { name: "worker 2", pid: spawnSync("true").pid, start: "1" };
  heldBy(file, { launcher: { name: "flotilla", pid: gone.pid, start: "1" }, processes: [left, gone] });
  expect(taken(takeDevLock(file, URL)).leftovers).toEqual([left]);
});

test("a pid that somebody else has by now does not hold the lock", () => {
  const file = lockFile();
  heldBy(file, { launcher: { ...livingProcess(), start: "long ago" } });
  expect(taken(takeDevLock(file, URL)).leftovers).toEqual([]);
});

test("a lock file that is not whole is taken", () => {
  const file = lockFile();
  writeFileSync(file, "{");
  expect(taken(takeDevLock(file, URL)).leftovers).toEqual([]);
});
