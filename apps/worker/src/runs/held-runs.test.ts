import { randomUUID } from "node:crypto";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { HeldRuns } from "./held-runs.ts";

const CAPACITY = 8;
const setup = () => {
  const shared = new SharedArrayBuffer(HeldRuns.bytesFor(CAPACITY));
  return { shared, held: new HeldRuns(shared, 0, CAPACITY), reader: new HeldRuns(shared, 0, CAPACITY) };
};

test("another view of the memory reads what is held, under which attempt, and not what was given back", () => {
  const { held, reader } = setup();
  const [first, second] = [
    { runId: randomUUID(), attempt: 1 },
    { runId: randomUUID(), attempt: 2_000_000 },
  ];
  const slot = held.add(first);
  held.add(second);
  expect(reader.list()).toHaveLength(2);
  expect(reader.list()).toEqual(expect.arrayContaining([first, second]));
  held.remove(slot);
  expect(reader.list()).toEqual([second]);
});

test("a worker that holds all it may refuses one more, and has room again when one is given back", () => {
  const { held } = setup();
  const slots = Array.from({ length: CAPACITY }, () => held.add({ runId: randomUUID(), attempt: 1 }));
  expect(() => held.add({ runId: randomUUID(), attempt: 1 })).toThrow("8 runs at most");
  held.remove(slots[3] as number);
  expect(held.add({ runId: randomUUID(), attempt: 1 })).toBe(slots[3]);
});

test("a thread that reads while runs come and go never sees half of one run and half of another", async () => {
  const { shared, held } = setup();
  const reader = new Worker(READER, {
    eval: true,
    workerData: { module: new URL("./held-runs.ts", import.meta.url).href, shared, capacity: CAPACITY },
  });
  const seen: { lists: number; runs: number; torn: number } = await new Promise((resolve, reject) => {
    reader.once("error", reject);
    reader.on("message", (message: "reading" | { lists: number; runs: number; torn: number }) => {
      if (message !== "reading") return resolve(message);
      const slots: number[] = [];
      for (let i = 0; i < 200_000; i++) {
        if (slots.length === CAPACITY) held.remove(slots.shift() as number);
        const attempt = (i % 1_000) + 1;
        slots.push(held.add({ runId: uuidOf(attempt), attempt }));
      }
      reader.postMessage("stop");
    });
  });
  await reader.terminate();
  expect(seen.runs).toBeGreaterThan(100);
  expect(seen.torn).toBe(0);
});

/** An id that tells its attempt in every part. */
function uuidOf(attempt: number): string {
  const part = attempt.toString(16).padStart(4, "0");
  return `${part}${part}-${part}-${part}-${part}-${part}${part}${part}`;
}

const READER = `
const { parentPort, workerData } = require("node:worker_threads");
import("tsx/esm/api").then((tsx) => (tsx.register(), import(workerData.module))).then(({ HeldRuns }) => {
  const held = new HeldRuns(workerData.shared, 0, workerData.capacity);
  const seen = { lists: 0, runs: 0, torn: 0 };
  let stopped = false;
  parentPort.on("message", () => { stopped = true; });
  const read = () => {
    for (let i = 0; i < 200; i++) {
      seen.lists++;
      for (const { runId, attempt } of held.list()) {
        seen.runs++;
        const part = attempt.toString(16).padStart(4, "0");
        if (runId.replaceAll("-", "") !== part.repeat(8)) seen.torn++;
      }
    }
    if (stopped) parentPort.postMessage(seen);
    else setImmediate(read);
  };
  parentPort.postMessage("reading");
  read();
});
`;
