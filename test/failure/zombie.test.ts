import { expect, test } from "vitest";
import { eventually } from "../support/wait.ts";
import { Fleet } from "./support/fleet.ts";
import { expectWholeStream } from "./support/stream.ts";

const STEPS = 12;
const numbers = Array.from({ length: STEPS }, (_, i) => i + 1);
const CHAIN = ["input-1", ...[0, ...numbers].map((n) => `loop${n}`)].join(" ");

test.each([
  { wakes: "in the middle of its successor's run", wakeAt: STEPS - 3 },
  { wakes: "after its successor's end", wakeAt: undefined },
])("a worker that sleeps past its lease and wakes $wakes changes nothing", { timeout: 90_000 }, async ({ wakeAt }) => {
  const fleet = await Fleet.start();
  const zombie = await fleet.stack.startWorker();
  const submit = (input: object) =>
    fleet.submit({ graphId: "deaf_steps" }, { input: { steps: STEPS, ...input }, stream_mode: ["values", "custom"] });
  const neighbours = [await submit({ delay_ms: 150, compute: false }), await submit({ delay_ms: 150, compute: false })];
  // Before the loop is blocked most of the time: a neighbour whose claim is still on its way would not be lost, but taken later.
  await Promise.all(neighbours.map(({ runId }) => fleet.stepBegun(runId, 1)));
  const computing = await submit({ delay_ms: 100, compute: true });
  const runs = [...neighbours, computing];
  await fleet.stepBegun(computing.runId, 4);
  zombie.signal("SIGSTOP"); // in the middle of a step that does not give way
  const asleepIn = fleet.effects(computing.runId).at(-1)?.step;
  const successor = await fleet.stack.startWorker();

  const isBegunBy = (pid: number, step: number) =>
    fleet.effects(computing.runId).some((effect) => effect.pid === pid && effect.step === step);
  if (wakeAt !== undefined)
    await eventually(() => isBegunBy(successor.pid, wakeAt), { timeoutMs: 20_000, what: "the successor's progress" });
  else await Promise.all(runs.map((run) => fleet.ended(run.runId)));
  zombie.signal("SIGCONT");

  // The step that slept ends and stores its result, and the graph its checkpoint: neither may land.
  const isDone = () =>
    fleet.effects(computing.runId).some((effect) => effect.pid === zombie.pid && effect.done === asleepIn);
  await eventually(isDone, { what: "the end of the step that the zombie was in" });
  await eventually(() => runs.every(({ runId }) => isNoticed(zombie.output(), runId)), {
    what: "the zombie's notice of each loss",
  });
  for (const { runId, threadId } of runs) {
    expect(await fleet.ended(runId)).toMatchObject({ status: "success", attempt: 2, losses: 0 });
    expect(await fleet.threadValues(threadId)).toMatchObject({ log: numbers });
    expect(await fleet.chain(threadId)).toBe(CHAIN);
    expect(await attemptsInOrder(fleet, threadId)).toBe(true);
    expectWholeStream(await fleet.events(runId));
  }
  const reports = (await fleet.events(computing.runId)).filter(
    (event) => event.data === JSON.stringify({ done: asleepIn }),
  );
  expect(reports.map((event) => event.id.attempt)).toEqual([2]);
  const steps = (pid: number) =>
    fleet.effects(computing.runId).filter((effect) => effect.pid === pid && effect.step !== undefined).length;
  expect(steps(zombie.pid) + steps(successor.pid)).toBe(STEPS + 1);

  await successor.kill("SIGTERM");
  const next = await fleet.submit({ graphId: "deaf_steps" }, { input: { steps: 2, delay_ms: 1 } });
  expect(await fleet.ended(next.runId)).toMatchObject({ status: "success", attempt: 1 });
  expect(await fleet.stepBegun(next.runId, 1)).toBe(zombie.pid);
});

/** Whether a worker has said that it lost this run. */
function isNoticed(output: string, runId: string): boolean {
  return output.split("\n").some((line) => line.includes(runId) && line.includes("the lease is lost"));
}

/** Whether no checkpoint of an earlier attempt was stored after one of a later attempt. */
async function attemptsInOrder(fleet: Fleet, threadId: string): Promise<boolean> {
  const { rows } = await fleet.pool.query<{ attempt: number }>(
    "select (metadata -> 'attempt')::int as attempt from checkpoints where thread_id = $1 order by seq",
    [threadId],
  );
  return rows.every((row, i) => i === 0 || row.attempt >= (rows[i - 1]?.attempt ?? 0));
}
