import { afterEach, beforeAll, expect, test } from "vitest";
import type { NewRun } from "@flotilla/shared/runs/run-queries";
import type { Durability } from "@flotilla/shared/runs/run";
import type { StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";
import { Fleet } from "./support/fleet.ts";

// A long lease: a slow machine must not lose a run by itself. The test says when one is over, since it knows who is dead.
let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start({ LEASE_SECS: "30" });
});

const workers: StackProcess[] = [];
async function startWorker(env: Record<string, string> = {}): Promise<StackProcess> {
  const worker = await fleet.stack.startWorker(env);
  workers.push(worker);
  return worker;
}
/** The next worker has the queue to itself. */
async function stopWorkers(): Promise<void> {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
}
afterEach(stopWorkers);

async function endLease(run: NewRun): Promise<void> {
  await fleet.pool.query(
    "update runs set lease_expires_at = clock_timestamp() - interval '1 s' where run_id = $1 and status = 'running'",
    [run.runId],
  );
}

/** What was paid in a run, in order, and the keys under which each was. */
function payments(run: NewRun): { paid: string[]; keys: Map<string, Set<string | undefined>> } {
  const effects = fleet.effects(run.runId).filter((effect) => effect.paid !== undefined);
  const keys = new Map<string, Set<string | undefined>>();
  for (const { paid = "", idempotencyKey } of effects)
    keys.set(paid, (keys.get(paid) ?? new Set()).add(idempotencyKey));
  return { paid: effects.map(({ paid = "" }) => paid), keys };
}

/** Lets one worker after the other have the run until it dies, then one that does not. */
async function executeWithDeaths(run: NewRun, failpoints: string[]): Promise<void> {
  for (const failpoint of failpoints) {
    const doomed = await startWorker({ FLOTILLA_FAILPOINTS: failpoint });
    expect((await doomed.exited).signal, `${doomed.name} reaches ${failpoint}`).toBe("SIGKILL");
    await endLease(run);
  }
  await startWorker();
  expect(await fleet.ended(run.runId, 60_000)).toMatchObject({ status: "success", attempt: failpoints.length + 1 });
}

async function countRecords(run: NewRun): Promise<number> {
  const { rows } = await fleet.pool.query<{ n: number }>(
    "select count(*)::int as n from once_records where thread_id = $1",
    [run.threadId],
  );
  return rows[0]?.n ?? 0;
}

test.each<Durability>(["sync", "async", "exit"])(
  "with durability %s, what is stored is not done again, and what is not is done again under the same key",
  { timeout: 180_000 },
  async (durability) => {
    const run = await fleet.submit({ graphId: "once_instalments" }, { input: { steps: 4 }, durability });
    // The first dies when the second payment is stored and its step is not; the second when the third is made and not stored.
    await executeWithDeaths(run, ["after_once:2", "before_once:1"]);
    const { paid, keys } = payments(run);
    expect(paid).toEqual(["step 1", "step 2", "step 3", "step 3", "step 4"]);
    expect([...keys.values()].map((of) => of.size)).toEqual([1, 1, 1, 1]);
    // Without checkpoints each death counts: the third attempt is executed alone, in a child process.
    expect(fleet.effects(run.runId).at(-1)).toMatchObject({ paid: "step 4", solo: durability === "exit" });
    expect(new Set([...keys.values()].flatMap((of) => [...of])).size).toBe(4);
    expect(await fleet.threadValues(run.threadId)).toMatchObject({
      log: ["for step 1", "for step 2", "for step 3", "for step 4"],
    });
  },
);

test("tasks, keys, steps of a subgraph and runs do not share results, whoever dies", { timeout: 180_000 }, async () => {
  const ask = () => fleet.submit({ graphId: "once_orders" }, { input: { orders: ["a", "b", "c"] } });
  const run = await ask();
  await executeWithDeaths(run, ["after_once:2", "after_once:3"]);
  const other = await ask();
  await fleet.ended(other.runId);

  const what = ["a", "b", "c"].flatMap((one) => [`goods of ${one}`, `postage of ${one}`]).concat("fee", "tax");
  const [first, second] = [payments(run), payments(other)];
  for (const { paid, keys } of [first, second]) {
    expect(new Set(paid)).toEqual(new Set(what));
    expect([...keys.values()].every((of) => of.size === 1)).toBe(true);
  }
  // Three pay at the same time: at each of the two deaths, two others may have been between effect and record.
  expect(first.paid.length).toBeLessThanOrEqual(what.length + 2 * 2);
  expect(second.paid.toSorted()).toEqual(what.toSorted());
  const keys = [first, second].flatMap((of) => [...of.keys.values()].flatMap((one) => [...one]));
  expect(new Set(keys).size).toBe(2 * what.length);
  const log = what.map((one) => `for ${one}`).concat("for tax");
  for (const { threadId } of [run, other]) {
    const values = (await fleet.threadValues(threadId)) as { log: string[] };
    expect(values.log.toSorted()).toEqual(log.toSorted());
  }
});

test.each<Durability>(["sync", "exit"])(
  "with durability %s, what was done before a question is not done again by the run that answers it",
  { timeout: 120_000 },
  async (durability) => {
    await startWorker();
    const asking = await fleet.submit({ graphId: "once_approval" }, { input: { steps: 1 }, durability });
    await fleet.ended(asking.runId);
    const kept = await countRecords(asking);
    const resume = { kind: "only", answer: "yes" } as const;
    const { threadId } = asking;
    await stopWorkers();
    const answer = await fleet.submit(
      { graphId: "once_approval", threadId, resume },
      { command: { resume: "yes" }, durability },
    );
    await executeWithDeaths(answer, ["after_once:1"]);
    expect(kept).toBeGreaterThan(0);
    expect(payments(asking).paid).toEqual(["announcement"]);
    expect(payments(answer).paid).toEqual(["execution"]);
    expect(await fleet.threadValues(threadId)).toMatchObject({ log: ["for announcement", "yes", "for execution"] });
    await eventually(async () => (await countRecords(asking)) === 0, { what: "the end of what nobody needs any more" });
  },
);

test("what a worker stores after it has lost its run is refused", { timeout: 120_000 }, async () => {
  const zombie = await startWorker();
  const run = await fleet.submit({ graphId: "once_slow" }, { input: { steps: 1 } });
  await eventually(() => payments(run).paid.length === 1, { what: "the zombie's effect" });
  zombie.signal("SIGSTOP");
  await endLease(run);
  const successor = await startWorker({ SECOND_WORKER: "1" });
  expect(await fleet.ended(run.runId)).toMatchObject({ status: "success", attempt: 2 });
  zombie.signal("SIGCONT");
  const refused = () => fleet.effects(run.runId).find((effect) => effect.refused !== undefined);
  const { refused: reason, pid } = await eventually(refused, {
    timeoutMs: 30_000,
    what: "the end of the zombie's effect",
  });
  expect({ reason, pid }).toEqual({ reason: "LeaseLost", pid: zombie.pid });
  const { paid, keys } = payments(run);
  expect(paid).toEqual(["slowly", "slowly"]);
  expect([...keys.values()].map((of) => of.size)).toEqual([1]);
  expect(await fleet.threadValues(run.threadId)).toMatchObject({ log: [String(successor.pid), "after"] });
  await eventually(async () => (await countRecords(run)) === 0);
});
