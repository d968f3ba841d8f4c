import { isReached, type Figure, type Summary } from "./figure.ts";
import { median } from "./statistics.ts";

/** One line per figure, in the order of the first repetition. */
export function summarise(scenario: number, repetitions: readonly Figure[][]): Summary[] {
  const [first = []] = repetitions;
  return first.map(({ name, unit, goal }) => {
    const values = repetitions.flatMap((figures) => figures.filter((one) => one.name === name).map((one) => one.value));
    const middle = median(values);
    return {
      scenario,
      name,
      unit,
      median: middle,
      least: Math.min(...values),
      most: Math.max(...values),
      goal,
      reached: goal === undefined ? undefined : isReached(middle, goal),
    };
  });
}
