import { join } from "node:path";
import type { Figure } from "../../bench/report/figure.ts";
import { isReached } from "../../bench/report/figure.ts";
import { rounded } from "../../bench/report/table.ts";
import { HistoryWriter } from "../history/history.ts";
import { Random } from "../random.ts";
import { Fleet } from "../stack/fleet.ts";
import type { Target } from "./target.ts";

export interface MeasuredTarget {
  readonly target: string;
  readonly title: string;
  readonly figures: readonly (Figure & { reached: boolean | undefined })[];
  /** Why it could not be measured to its end. */
  readonly failure?: string;
}

/** Measures one target, on a fleet that is there for it alone. */
export async function measureTarget(
  target: Target,
  { seed, quick, out }: { seed: number; quick: boolean; out: string },
): Promise<MeasuredTarget> {
  console.log(`\n${target.title}`);
  const fleets: Fleet[] = [];
  try {
    const figures = await target.measure({
      random: new Random(seed),
      quick,
      async startFleet(options = {}) {
        const fleet = await Fleet.start({ gateways: 2, workers: 3, jobsPerWorker: 10, ...options });
        fleets.push(fleet);
        return fleet;
      },
      openHistory() {
        const file = join(out, `${target.name}.jsonl`);
        return { history: new HistoryWriter(file), file };
      },
      say: (text) => console.log(`   ${text}`),
    });
    const judged = figures.map((figure) => ({
      ...figure,
      reached: figure.goal === undefined ? undefined : isReached(figure.value, figure.goal),
    }));
    for (const { name, value, unit, reached } of judged)
      console.log(`   ${reached === false ? "MISSED  " : ""}${name}: ${rounded(value)} ${unit}`);
    return { target: target.name, title: target.title, figures: judged };
  } catch (error) {
    console.error(error); // the other targets are measured all the same
    const { message } = error as Error;
    const failure: Figure = { name: `could not be measured: ${message}`, unit: "", value: NaN, goal: { atMost: 0 } };
    return { target: target.name, title: target.title, figures: [{ ...failure, reached: false }], failure: message };
  } finally {
    for (const fleet of fleets) await fleet.stop();
  }
}
