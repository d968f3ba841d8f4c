import { expect, test } from "vitest";
import type { TcpProxy } from "../../faults/stack/tcp-proxy.ts";
import { linkTo } from "../support/link.ts";
import { eventually } from "../support/wait.ts";
import { Fleet } from "./support/fleet.ts";
import { expectWholeStream } from "./support/stream.ts";

const LEASE_MS = 3_000;
/** The main loop looks at the time four times a second; the rest is for a busy machine. */
const LATE_MS = 250 + 500;

test.each([
  { way: "that refuses its connections", cut: (link: TcpProxy) => link.cut() },
  { way: "that swallows what it says, and lets it through at last", cut: (link: TcpProxy) => link.hold() },
])(
  "a worker behind a network $way stops its runs by two thirds of the lease and writes nothing more",
  { timeout: 60_000 },
  async ({ cut }) => {
    const fleet = await Fleet.start({ LEASE_SECS: String(LEASE_MS / 1000) });
    const link = await linkTo(fleet.databaseUrl);
    const cutOff = await fleet.stack.startWorker({ DATABASE_URL: link.url });
    const waiting = await fleet.submit({ graphId: "heed_signal" }, { input: { log: ["in"] } });
    const stepping = await fleet.submit({ graphId: "endless_steps" }, { input: { log: [] } });
    const seen = () => fleet.effects(waiting.runId);
    await eventually(() => seen().some((effect) => effect.node === "wait"));
    await fleet.stepBegun(stepping.runId, 5);
    const successor = await fleet.stack.startWorker({ SECOND_WORKER: "1" });

    cut(link);
    const last = await leaseEnd(fleet, waiting.runId);
    const runs = [waiting, stepping];
    const rows = await Promise.all(runs.map((run) => fleet.ended(run.runId)));
    for (const row of rows) expect(row).toMatchObject({ status: "success", attempt: 2, error: null });

    const abort = seen().find((effect) => effect.aborted !== undefined);
    expect(abort).toMatchObject({ pid: cutOff.pid, aborted: "LeaseLost" });
    expect(abort?.at).toBeLessThan(last - LEASE_MS / 3 + LATE_MS);
    expect(seen().map((effect) => effect.node ?? effect.aborted)).toEqual(["wait", "LeaseLost", "wait"]);

    link.mend();
    await eventually(() => cutOff.output().split("the lease is lost").length === runs.length + 1, {
      what: "the worker's notice of each loss",
    });
    await successor.kill("SIGTERM");
    const next = await fleet.submit({}, { input: { steps: 2, delay_ms: 1 } });
    expect(await fleet.ended(next.runId)).toMatchObject({ status: "success", attempt: 1 });
    expect(await fleet.stepBegun(next.runId, 1)).toBe(cutOff.pid);

    expect(await fleet.chain(waiting.threadId)).toBe("input-1 loop0 loop1 loop2 loop3");
    expect(await fleet.threadValues(waiting.threadId)).toEqual({ log: ["in", "before", "waited", "after"] });
    const { log } = (await fleet.threadValues(stepping.threadId)) as { log: number[] };
    expect(log).toEqual(log.map((_, i) => i + 1));
    expect(await fleet.chain(stepping.threadId)).toBe(["input-1", "loop0", ...log.map((n) => `loop${n}`)].join(" "));
    for (const { runId } of runs) expectWholeStream(await fleet.events(runId));
  },
);

/** When the lease that a run has now runs out, in ms. */
async function leaseEnd(fleet: Fleet, runId: string): Promise<number> {
  const { rows } = await fleet.pool.query<{ ms: number }>(
    "select extract(epoch from lease_expires_at)::float8 * 1000 as ms from runs where run_id = $1 and attempt = 1",
    [runId],
  );
  return rows[0]?.ms as number;
}
