import { beforeAll, expect, test } from "vitest";
import type { StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";
import { Fleet } from "./support/fleet.ts";
import { randomInt, seededRandom, testSeed } from "./support/random.ts";
import { expectWholeStream } from "./support/stream.ts";

const STEPS = 20;
const numbers = Array.from({ length: STEPS }, (_, i) => i + 1);

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start({ LEASE_SECS: "6" });
});

test("a worker that is told to go hands its run over between two steps", { timeout: 90_000 }, async () => {
  const random = seededRandom(testSeed());
  let workers: StackProcess[] = await Promise.all([fleet.stack.startWorker(), fleet.stack.startWorker()]);
  for (let deploy = 0; deploy < 5; deploy++) {
    const step = randomInt(random, 1, STEPS - 1);
    const input = { inputs: ["in"], steps: STEPS, delay_ms: 25 };
    const run = await fleet.submit({}, { input });
    const pid = await fleet.stepBegun(run.runId, step);
    const leaving = workers.find((worker) => worker.pid === pid) as StackProcess;
    const told = performance.now();
    const spare = fleet.stack.startWorker();
    const exit = leaving.kill("SIGTERM");

    const onAnother = () => fleet.effects(run.runId).some((effect) => effect.pid !== pid);
    await eventually(onAnother, { what: "a step on another worker", everyMs: 5 });
    expect(performance.now() - told).toBeLessThan(2_000);
    const row = await fleet.ended(run.runId);
    expect(await exit).toEqual({ code: 0, signal: null });
    workers = [...workers.filter((worker) => worker !== leaving), await spare];

    expect(row).toMatchObject({ status: "success", attempt: 2, losses: 0, solo: false });
    expect(row.story.map((chapter) => chapter.ended)).toEqual(["handed_over", "success"]);
    expect(fleet.effects(run.runId).map((effect) => effect.step)).toEqual(numbers);
    expect(await fleet.threadValues(run.threadId)).toEqual({ ...input, log: numbers });
    expect(await fleet.chain(run.threadId)).toBe(["input-1", ...[0, ...numbers].map((n) => `loop${n}`)].join(" "));
    expectWholeStream(await fleet.events(run.runId));
  }
  await Promise.all(workers.map((worker) => worker.kill("SIGTERM")));
});

test.each([
  { node: "that listens to its signal", deaf: false },
  { node: "that does not", deaf: true },
])(
  "a node $node and outlasts the grace period is aborted, and its step repeated elsewhere",
  { timeout: 60_000 },
  async ({ deaf }) => {
    const leaving = await fleet.stack.startWorker({ SHUTDOWN_GRACE_SECS: "6" });
    const run = await fleet.submit({ graphId: "long_step" }, { input: { log: ["in"], deaf } });
    const nodes = () => fleet.effects(run.runId).map((effect) => effect.node);
    await eventually(() => nodes().includes("long"));
    const other = await fleet.stack.startWorker({ SECOND_WORKER: "1" });

    const told = performance.now();
    expect(await leaving.kill("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(performance.now() - told).toBeLessThan(6_000);

    const row = await fleet.ended(run.runId);
    expect(row, JSON.stringify(row)).toMatchObject({ status: "success", attempt: 2, losses: 0, solo: false });
    expect(row.story.map((chapter) => chapter.ended)).toEqual(["handed_over", "success"]);
    expect(nodes()).toEqual(["before", "long", "long", "after"]);
    expect(await fleet.threadValues(run.threadId)).toEqual({ log: ["in", "before", "long", "after"], deaf });
    expectWholeStream(await fleet.events(run.runId));
    await other.kill("SIGTERM");
  },
);

test("a run that comes while an idle worker leaves is taken by another at once", { timeout: 60_000 }, async () => {
  const staying = await fleet.stack.startWorker();
  for (let i = 0; i < 4; i++) {
    const leaving = await fleet.stack.startWorker();
    const exit = leaving.kill("SIGTERM");
    const started = performance.now();
    const run = await fleet.submit({}, { input: { steps: 1, delay_ms: 1 } });
    expect(await fleet.ended(run.runId)).toMatchObject({ status: "success", attempt: 1 });
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(await exit).toEqual({ code: 0, signal: null });
  }
  await staying.kill("SIGTERM");
});
