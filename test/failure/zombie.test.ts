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
  const input = { steps: STEPS, delay_ms: 150 };
  const runs = await Promise.all(
    Array.from({ length: 3 }, () =>
      fleet.submit({ graphId: "deaf_steps" }, { input, stream_mode: ["values", "custom"] }),
    ),
  );
  const [first] = runs.map((run) => run.runId) as [string];
  await Promise.all(runs.map((run) => fleet.stepBegun(run.runId, 4)));
  zombie.signal("SIGSTOP");
  const successor = await fleet.stack.startWorker();

  const begunBy = (pid: number, step: number) =>
    fleet.effects(first).some((effect) => effect.pid === pid && effect.step === step);
  if (wakeAt !== undefined)
    await eventually(() => begunBy(successor.pid, wakeAt), { timeoutMs: 20_000, what: "the successor's progress" });
  else await Promise.all(runs.map((run) => fleet.ended(run.runId)));
  const linesBefore = fleet.effects().length;
  zombie.signal("SIGCONT");

  // The nodes that slept finish and try to report; nothing of it may land.
  const woken = () =>
    fleet
      .effects()
      .slice(linesBefore)
      .filter((effect) => effect.pid === zombie.pid && effect.done !== undefined);
  await eventually(() => woken().length === runs.length, { what: "the end of the steps that the zombie was in" });
  for (const { runId, threadId } of runs) {
    expect(await fleet.ended(runId)).toMatchObject({ status: "success", attempt: 2, losses: 0 });
    await eventually(() => zombie.output().includes("the lease is lost"), { what: "the zombie's notice" });
    expect(await fleet.threadValues(threadId)).toEqual({ ...input, log: numbers });
    expect(await fleet.chain(threadId)).toBe(CHAIN);
    expect(await attemptsInOrder(fleet, threadId)).toBe(true);

    const events = await fleet.events(runId);
    expectWholeStream(events);
    const slept = Math.max(
      ...fleet.effects(runId).flatMap((effect) => (effect.pid === zombie.pid ? [effect.done ?? 0] : [])),
    );
    const reports = events.filter(
      (event) => event.event === "custom" && event.data === JSON.stringify({ done: slept }),
    );
    expect(reports.map((event) => event.id.attempt)).toEqual([2]);
  }
  const steps = (pid: number) =>
    fleet.effects(first).filter((effect) => effect.pid === pid && effect.step !== undefined).length;
  expect(steps(zombie.pid) + steps(successor.pid)).toBe(STEPS + 1);

  await successor.kill("SIGTERM");
  const next = await fleet.submit({ graphId: "deaf_steps" }, { input: { steps: 2, delay_ms: 1 } });
  expect(await fleet.ended(next.runId)).toMatchObject({ status: "success", attempt: 1 });
  expect(await fleet.stepBegun(next.runId, 1)).toBe(zombie.pid);
});

/** Whether no checkpoint of an earlier attempt was stored after one of a later attempt. */
async function attemptsInOrder(fleet: Fleet, threadId: string): Promise<boolean> {
  const { rows } = await fleet.pool.query<{ attempt: number }>(
    "select (metadata -> 'attempt')::int as attempt from checkpoints where thread_id = $1 order by seq",
    [threadId],
  );
  return rows.every((row, i) => i === 0 || row.attempt >= (rows[i - 1]?.attempt ?? 0));
}
