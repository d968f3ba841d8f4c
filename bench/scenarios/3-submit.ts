import { setTimeout as delay } from "node:timers/promises";
import type { FlotillaClient, Handle } from "../client/flotilla-client.ts";
import { inParallel } from "../client/in-parallel.ts";
import { percentile } from "../report/statistics.ts";
import { expect, type Scenario } from "./scenario.ts";

const RUNS = 1000;
const CLIENTS = 32;
/** Runs that one client submits after the burst, one after the other. */
const ONE_BY_ONE = 200;
const POLL_MS = 20;
const PATIENCE_MS = 120_000;

/** A burst of runs that nobody waits for: how fast they are accepted while the workers are busy, and when all have ended. */
export const submit: Scenario = {
  number: 3,
  title: `submit: ${RUNS} runs of chain5 in the background, ${CLIENTS} clients`,
  async run(client) {
    const accepts: number[] = [];
    const handles: Handle[] = [];
    const started = performance.now();
    await inParallel(RUNS, CLIENTS, async () => {
      const sent = performance.now();
      handles.push(await client.submit("chain5", { count: 0 }));
      accepts.push(performance.now() - sent);
    });
    const acceptSeconds = (performance.now() - started) / 1000;
    // The queue is first in, first out: the last ones end last. Watching a few costs the server next to nothing.
    for (const handle of handles.slice(-CLIENTS)) await untilEnded(client, handle, started + PATIENCE_MS);
    const allSeconds = (performance.now() - started) / 1000;
    await inParallel(RUNS, CLIENTS, async (i) => {
      const run = await client.getRun(handles[i] as Handle);
      expect(run.status === "success", "every run ends with success", run);
    });
    const alone: number[] = [];
    for (let i = 0; i < ONE_BY_ONE; i++) {
      const sent = performance.now();
      await client.submit("noop", { count: 0 });
      alone.push(performance.now() - sent);
    }
    return [
      { name: "accept of a run, p50", unit: "ms", value: percentile(accepts, 50), goal: { atMost: 8 } },
      { name: "accept of a run, p99", unit: "ms", value: percentile(accepts, 99) },
      { name: "accept, one client, p50", unit: "ms", value: percentile(alone, 50) },
      { name: "accepts", unit: "/s", value: RUNS / acceptSeconds, goal: { atLeast: 500 } },
      { name: `all ${RUNS} ended`, unit: "s", value: allSeconds },
      { name: "ended", unit: "/s", value: RUNS / allSeconds },
    ];
  },
};

async function untilEnded(client: FlotillaClient, handle: Handle, deadline: number): Promise<void> {
  for (;;) {
    const { status } = await client.getRun(handle);
    if (status !== "pending" && status !== "running") return;
    expect(performance.now() < deadline, "all runs end in time", handle);
    await delay(POLL_MS);
  }
}
