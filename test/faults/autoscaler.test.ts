import { describe, expect, test } from "vitest";
import { percentile } from "../../bench/report/statistics.ts";
import { demandOfADay, replay } from "../../faults/autoscaler/replay.ts";
import { DEFAULTS } from "../../faults/autoscaler/scaler.ts";
import { Random } from "../../faults/random.ts";

// The formula that docs and manifests recommend, over days of demand with bursts: what it promises, and what the usual wrong forms do.

const SEEDS = [1, 2, 3, 4];
const OUTAGE = [40_000, 43_600] as const; // an hour in the middle of the day

describe.each(SEEDS)("over a day (seed %i), scaling by demand", (seed) => {
  const day = demandOfADay(new Random(seed));

  test("never takes a worker away that what runs needs, and hardly ever one that is missed at once", () => {
    const { belowLive, handOvers, flaps, waits } = replay(day, DEFAULTS);
    expect(waits).toHaveLength(day.length);
    expect(belowLive).toBe(0);
    expect(handOvers).toBe(0);
    expect(flaps).toBeLessThan(10); // of 1,440 minutes in which one could be
  });

  test("keeps the 95th percentile of waits under a second, for less than three times the workers of a perfect guess", () => {
    const { waits, replicaSeconds } = replay(day, DEFAULTS);
    expect(percentile(waits, 95)).toBeLessThan(1);
    expect(percentile(waits, 99)).toBeLessThan(20);
    const needed = day.reduce((sum, { seconds }) => sum + seconds, 0) / (DEFAULTS.slots * DEFAULTS.utilisation);
    expect(replicaSeconds).toBeLessThan(3 * needed);
  });

  test("holds what there is while the metric is not there, and goes on after it", () => {
    const { waits, belowLive } = replay(day, { ...DEFAULTS, outage: OUTAGE });
    expect(waits).toHaveLength(day.length);
    expect(belowLive).toBe(0);
  });
});

describe("the usual wrong forms are seen:", () => {
  const day = demandOfADay(new Random(1));

  test("by the depth of the queue alone, workers are taken away from what runs", () => {
    const { belowLive, handOvers } = replay(day, { ...DEFAULTS, metric: ({ runnable }) => runnable });
    expect(belowLive).toBeGreaterThan(0);
    expect(handOvers).toBeGreaterThan(0);
  });

  test("without a window for going down it flaps", () => {
    expect(replay(day, { ...DEFAULTS, downWindowSeconds: 1 }).flaps).toBeGreaterThan(100);
  });

  test("a metric whose absence counts as zero takes workers away from what runs", () => {
    const { belowLive, handOvers } = replay(day, { ...DEFAULTS, outage: OUTAGE, missing: 0 });
    expect(belowLive + handOvers).toBeGreaterThan(0);
  });
});
