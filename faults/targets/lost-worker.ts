import { setTimeout as delay } from "node:timers/promises";
import type { Figure } from "../../bench/report/figure.ts";
import { percentile } from "../../bench/report/statistics.ts";
import { runsOf } from "../kinds/fault.ts";
import { LongRuns, until } from "./long-runs.ts";
import type { Target, TargetContext } from "./target.ts";

/** The next step of a dead worker's runs, on another worker, with the default settings. */
export const KILLED: Target = {
  name: "killed",
  title: "kill -9 of a worker: its runs' next step on another",
  measure: (context) => killWorkers(context, "after kill -9", false),
};

export const KILLED_AND_WIPED: Target = {
  name: "killed-and-wiped",
  long: true,
  title: "the same, with Redis wiped at that moment",
  measure: (context) => killWorkers(context, "after kill -9 with Redis wiped", true),
};

async function killWorkers(
  { startFleet, quick, random, say }: TargetContext,
  name: string,
  wipe: boolean,
): Promise<Figure[]> {
  const fleet = await startFleet();
  const runs = new LongRuns(fleet);
  const times: number[] = [];
  const rounds = quick ? 3 : 15;
  await runs.submit(12);
  for (let round = 0; round < rounds; round++) {
    const worker = fleet.workers[round % fleet.workers.length] as (typeof fleet.workers)[0];
    const { pid } = worker.process;
    const held = await until("a run of the worker", 60, async () => {
      const own = await runsOf(fleet, pid);
      if (own.length < 2) await runs.submit(2);
      return own.length < 2 ? undefined : own;
    });
    await until("a step of the worker", 30, () => runs.effects().some((effect) => effect.pid === pid) || undefined);
    await delay(random.int(0, 2_000)); // anywhere between two renewals of the lease
    const at = Date.now();
    worker.process.signal("SIGKILL");
    if (wipe) await fleet.admin.flushall();
    const after = await until("the next step of each", 60, () => {
      const first = held.map(
        (run) =>
          runs.effects().find((one) => one.run === run && one.step !== undefined && one.at > at && one.pid !== pid)?.at,
      );
      return first.every((one) => one !== undefined) ? (first as number[]) : undefined;
    });
    times.push(...after.map((one) => one - at));
    say(`${held.length} runs, ${Math.max(...after.map((one) => one - at))} ms at most`);
    await until("the worker's successor", 60, () => worker.process.url);
  }
  await runs.close();
  return [
    { name: `next step ${name}, p50`, unit: "s", value: percentile(times, 50) / 1_000, goal: { atMost: 7 } },
    { name: `next step ${name}, p99`, unit: "s", value: percentile(times, 99) / 1_000, goal: { atMost: 10 } },
  ];
}

/** A worker that is told to go gives its runs away between two steps. */
export const DRAINED: Target = {
  name: "drained",
  title: "SIGTERM of a worker: its runs' pause",
  async measure({ startFleet, quick, say }) {
    const fleet = await startFleet();
    const runs = new LongRuns(fleet);
    await runs.submit(12);
    const times: number[] = [];
    for (let round = 0; round < (quick ? 3 : 12); round++) {
      const worker = fleet.workers[round % fleet.workers.length] as (typeof fleet.workers)[0];
      const { pid } = worker.process;
      const held = await until("runs of the worker", 60, async () => {
        const begun = new Set(
          runs.effects().flatMap((one) => (one.pid === pid && one.done !== undefined ? one.run : [])),
        );
        const own = (await runsOf(fleet, pid)).filter((run) => begun.has(run));
        if (own.length < 2) await runs.submit(2);
        return own.length < 2 ? undefined : own;
      });
      const at = Date.now();
      await worker.process.replace("SIGTERM");
      const pauses = await until("the hand-over of each", 60, async () => {
        const effects = runs.effects();
        const own = held.map((run) => {
          const last = effects.findLast((one) => one.run === run && one.done !== undefined && one.pid === pid)?.at;
          const next = effects.find(
            (one) => one.run === run && one.step !== undefined && one.at > at && one.pid !== pid,
          )?.at;
          return last === undefined || next === undefined ? undefined : next - last;
        });
        return own.every((one) => one !== undefined) ? (own as number[]) : undefined;
      });
      times.push(...pauses);
      say(`${held.length} runs, ${Math.max(...pauses)} ms at most`);
    }
    const { rows } = await fleet.pool.query<{ n: number }>("select count(*)::int as n from runs where losses > 0");
    await runs.close();
    return [
      { name: "from step to step over a hand-over, p50", unit: "s", value: percentile(times, 50) / 1_000 },
      {
        name: "from step to step over a hand-over, p99",
        unit: "s",
        value: percentile(times, 99) / 1_000,
        goal: { atMost: 1 },
      },
      { name: "hand-overs that counted as a loss", unit: "", value: rows[0]?.n ?? NaN, goal: { atMost: 0 } },
    ];
  },
};
