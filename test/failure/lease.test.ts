import { expect, test } from "vitest";
import { cancelRun, settleRun } from "@flotilla/shared/runs/run-queries";
import { eventually } from "../support/wait.ts";
import { Fleet } from "./support/fleet.ts";

test("a worker whose loop is blocked beyond the limit loses its run, takes no work, and is back after it", async () => {
  const fleet = await Fleet.start();
  const blocked = await fleet.stack.startWorker({ LOOP_LIMIT_SECS: "1" });
  const run = await fleet.submit({ graphId: "poison" }, { input: { way: "compute" } });
  await fleet.stepBegun(run.runId, 1);
  await eventually(async () => (await fleet.row(run.runId)).status === "pending", { what: "the end of the lease" });

  await eventually(() => blocked.output().includes("taking no work"));
  // Its next attempt must not block the loop again beside the run that follows, which would lose its lease, too.
  await cancelRun(fleet.pool, { ...run, action: "interrupt" });
  const ready = await fetch(`${blocked.url}/ready`);
  expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining("the event loop is late")]);
  const next = await fleet.submit({}, { input: { steps: 1, delay_ms: 1 } });
  await eventually(() => blocked.output().includes("taking work again") || hasBegun(fleet, next.runId));
  expect(hasBegun(fleet, next.runId)).toBe(false);

  expect(await fleet.ended(next.runId)).toMatchObject({ status: "success", attempt: 1 });
  expect(await fleet.stepBegun(next.runId, 1)).toBe(blocked.pid);
  await eventually(async () => (await fetch(`${blocked.url}/ready`)).status === 200);
  expect(blocked.output()).toContain("the lease is lost");
});

function hasBegun(fleet: Fleet, runId: string): boolean {
  return fleet.effects(runId).length > 0;
}

test("a rollback that takes longer than a lease costs no other run of the worker its lease", async () => {
  const fleet = await Fleet.start({ LEASE_SECS: "3" });
  await fleet.stack.startWorker();
  const rolledBack = await fleet.submit({}, { input: { steps: 100, delay_ms: 1_000 } });
  await fleet.stepBegun(rolledBack.runId, 1);

  const client = await fleet.pool.connect(); // settles for as long as the test wants
  try {
    await client.query("begin");
    await cancelRun(client, { ...rolledBack, action: "rollback" });
    expect(await settleRun(client, rolledBack.runId, 1, { outcome: "success" })).toMatchObject({ status: "rollback" });
    const other = await fleet.submit({}, { input: { steps: 10, delay_ms: 500 } });
    expect(await fleet.ended(other.runId)).toMatchObject({ status: "success", attempt: 1 });
    await client.query("commit");
  } finally {
    client.release();
  }
  const { rows } = await fleet.pool.query("select 1 from checkpoints where thread_id = $1", [rolledBack.threadId]);
  expect(rows).toEqual([]);
});
