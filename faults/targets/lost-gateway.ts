import { setTimeout as delay } from "node:timers/promises";
import { percentile } from "../../bench/report/statistics.ts";
import { problemsOf } from "../check/streams.ts";
import { LongRuns, until } from "./long-runs.ts";
import { none, type Target } from "./target.ts";

const STREAMS = 200;
const RUNS = 25;

/** Everybody who followed there has to go on elsewhere, all at once. */
export const GATEWAY_KILLED: Target = {
  name: "gateway-killed",
  title: `a gateway killed with ${STREAMS} streams open`,
  async measure({ startFleet, say }) {
    const fleet = await startFleet();
    const runs = new LongRuns(fleet);
    await runs.submit(RUNS, { steps: 60, step_ms: 250 });
    const doomed = fleet.gateways[0] as (typeof fleet.gateways)[0];
    const url = await doomed.process.ready;
    const following = Array.from({ length: STREAMS }, (_, i) => {
      const { thread_id, run_id } = runs.handles[i % RUNS] as (typeof runs.handles)[0];
      return runs.client.follow({ path: `/threads/${thread_id}/runs/${run_id}/stream`, url });
    });
    await until("progress of the runs", 60, () => runs.effects().length > RUNS * 10 || undefined);
    await delay(500);
    doomed.process.signal("SIGKILL");
    const seen = (await Promise.all(following)).filter((one) => one !== undefined);
    const catchUps = seen.flatMap(({ catchUpsMs }) => catchUpsMs);
    const problems = seen.flatMap((one) => problemsOf(one).map((what) => `${one.run}: ${what}`));
    for (const problem of problems.slice(0, 10)) say(problem);
    say(`${seen.reduce((sum, { events }) => sum + events.length, 0)} events; ${catchUps.length} reconnections`);
    await runs.close();
    return [
      {
        name: "streams that went on elsewhere",
        unit: "",
        value: seen.filter(({ connections }) => connections > 1).length,
        goal: { atLeast: STREAMS },
      },
      none("streams with a hole, a repetition, or no end", problems.length + STREAMS - seen.length),
      none("streams with a gap", seen.filter(({ events }) => events.some((event) => event.endsWith(" gap"))).length),
      { name: "catch-up, p50", unit: "s", value: percentile(catchUps, 50) / 1_000 },
      { name: "catch-up, p99", unit: "s", value: percentile(catchUps, 99) / 1_000, goal: { atMost: 5 } },
    ];
  },
};
