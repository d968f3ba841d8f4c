import { expect, test } from "vitest";
import { eventually } from "../support/wait.ts";
import type { StackProcess } from "../support/stack.ts";
import { Fleet } from "./support/fleet.ts";

const startWorkers = (fleet: Fleet, n: number): Promise<StackProcess[]> =>
  Promise.all(Array.from({ length: n }, () => fleet.stack.startWorker()));

/** Lets a run that backs off go on at once: how long it waits is not what is tried here. */
function skipBackOff(fleet: Fleet, runId: string): () => void {
  const timer = setInterval(() => {
    void fleet.pool
      .query(
        "update runs set retry_at = clock_timestamp(), ready_at = clock_timestamp() where run_id = $1 and retry_at > clock_timestamp()",
        [runId],
      )
      .catch(() => {});
  }, 100);
  return () => clearInterval(timer);
}

test("a node that kills its process ends its run with the story, and takes down few", { timeout: 90_000 }, async () => {
  const fleet = await Fleet.start();
  const workers = await startWorkers(fleet, 4);
  const neighbours = await Promise.all(
    Array.from({ length: 9 }, () =>
      fleet.submit({}, { input: { inputs: ["in"], steps: 30, delay_ms: 200 }, config: { recursion_limit: 100 } }),
    ),
  );
  const poison = await fleet.submit({ graphId: "poison" }, { input: { way: "kill" } });
  const stop = skipBackOff(fleet, poison.runId);
  const row = await fleet.ended(poison.runId, 60_000);
  stop();

  // The first attempt stores the input: progress, so its loss does not count.
  expect(row).toMatchObject({ status: "error", error: { error: "PoisonRun" }, attempt: 6 });
  expect(row.error?.message).toMatch(/lost its worker 5 times .* 3 times while it had a worker to itself/);
  expect(row.story.map((chapter) => chapter.ended)).toEqual(Array(6).fill("lost"));
  const attempts = fleet.effects(poison.runId);
  expect(attempts.map((effect) => effect.solo)).toEqual([false, false, false, true, true, true]);
  const pids = workers.map((worker) => worker.pid);
  expect(attempts.map((effect) => pids.includes(effect.pid))).toEqual([true, true, true, false, false, false]);

  for (const neighbour of neighbours) expect(await fleet.ended(neighbour.runId)).toMatchObject({ status: "success" });
  const { rows } = await fleet.pool.query("select status from threads where thread_id = $1", [poison.threadId]);
  expect(rows).toEqual([{ status: "error" }]);
});

test(
  "a run that loses its worker at every step, and gets further each time, finishes",
  { timeout: 90_000 },
  async () => {
    const fleet = await Fleet.start();
    await startWorkers(fleet, 5);
    const run = await fleet.submit({ graphId: "poison" }, { input: { way: "kill each step", steps: 4 } });
    const row = await fleet.ended(run.runId, 60_000);
    expect(row).toMatchObject({ status: "success", attempt: 5, losses: 0, solo: false });
    expect(fleet.effects(run.runId).map((effect) => effect.step)).toEqual([1, 1, 2, 2, 3, 3, 4, 4]);
    expect(await fleet.threadValues(run.threadId)).toMatchObject({ log: [1, 2, 3, 4] });
  },
);

test("a rejection that nobody handles fails its run and no other", { timeout: 60_000 }, async () => {
  const fleet = await Fleet.start();
  const [worker] = (await startWorkers(fleet, 1)) as [StackProcess];
  const neighbour = await fleet.submit({}, { input: { steps: 10, delay_ms: 100 } });
  await fleet.stepBegun(neighbour.runId, 1);
  const run = await fleet.submit({ graphId: "poison" }, { input: { way: "reject" } });

  expect(await fleet.ended(run.runId)).toMatchObject({
    status: "error",
    error: { error: "Error", message: "nobody awaits this" },
    attempt: 1,
  });
  expect(await fleet.ended(neighbour.runId)).toMatchObject({ status: "success", attempt: 1 });
  expect(new Set(fleet.effects().map((effect) => effect.pid))).toEqual(new Set([worker.pid]));
});

test(
  "an exception that nobody catches fails its run; the worker hands its other runs over and leaves",
  { timeout: 60_000 },
  async () => {
    const fleet = await Fleet.start();
    const [worker] = (await startWorkers(fleet, 1)) as [StackProcess];
    const neighbour = await fleet.submit({}, { input: { steps: 10, delay_ms: 100 } });
    await fleet.stepBegun(neighbour.runId, 2);
    const run = await fleet.submit({ graphId: "poison" }, { input: { way: "throw" } });
    await startWorkers(fleet, 1);

    expect(await worker.exited).toEqual({ code: 1, signal: null });
    expect(await fleet.ended(run.runId)).toMatchObject({
      status: "error",
      error: { error: "Error", message: "nobody catches this" },
      attempt: 1,
    });
    expect(await fleet.ended(neighbour.runId)).toMatchObject({ status: "success", attempt: 2, losses: 0 });
  },
);

test("a node that computes for longer than the lease keeps its run", { timeout: 60_000 }, async () => {
  const fleet = await Fleet.start();
  const workers = await startWorkers(fleet, 2);
  const run = await fleet.submit({ graphId: "poison" }, { input: { way: "compute" } });
  const pid = await fleet.stepBegun(run.runId, 1);
  expect(await fleet.ended(run.runId)).toMatchObject({ status: "success", attempt: 1, losses: 0 });
  expect(fleet.effects(run.runId)).toHaveLength(1);
  const worker = workers.find((one) => one.pid === pid) as StackProcess;
  await eventually(() => worker.output().includes("the event loop was blocked"));
});

test("a run whose own process dies before it begins ends at the third time", { timeout: 90_000 }, async () => {
  const fleet = await Fleet.start();
  const run = await fleet.submit({}, { input: { inputs: ["in"], steps: 2 } });
  await fleet.pool.query("update runs set solo = true, losses = 2 where run_id = $1", [run.runId]);
  const worker = await fleet.stack.startWorker({ FLOTILLA_FAILPOINTS: "before_claim_alone:1" });
  const stop = skipBackOff(fleet, run.runId);
  const row = await fleet.ended(run.runId, 60_000);
  stop();
  expect(row).toMatchObject({ status: "error", attempt: 0, error: { error: "PoisonRun" } });
  expect(row.error?.message).toMatch(/could not be started 3 times.*SIGKILL/);
  expect(row.story.map((chapter) => chapter.ended)).toEqual(["not_started", "not_started", "not_started"]);
  const other = await fleet.submit({}, { input: { inputs: ["in"], steps: 2 } });
  expect(await fleet.ended(other.runId)).toMatchObject({ status: "success" });
  await worker.kill("SIGTERM");
});

test(
  "a run that has a process to itself is handed over by that when the worker that started it is killed",
  { timeout: 150_000 },
  async () => {
    const fleet = await Fleet.start();
    const input = { way: "print", steps: 40 };
    const run = await fleet.submit({ graphId: "poison" }, { input, config: { recursion_limit: 100 } });
    await fleet.pool.query("update runs set solo = true, losses = 2 where run_id = $1", [run.runId]);
    const [worker] = (await startWorkers(fleet, 1)) as [StackProcess];
    const begun = () => fleet.effects(run.runId).find((effect) => effect.step === 2);
    const { pid } = await eventually(begun, { timeoutMs: 60_000, what: "the second step" });
    expect(pid).not.toBe(worker.pid);
    await worker.kill();
    await startWorkers(fleet, 1);
    const row = await fleet.ended(run.runId, 60_000);
    expect(row).toMatchObject({
      status: "success",
      attempt: 2,
      story: [{ ended: "handed_over" }, { ended: "success" }],
    });
  },
);
