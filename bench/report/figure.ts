export type Goal = { atMost: number } | { atLeast: number };

/** One measured number and what it should be. */
export interface Figure {
  name: string;
  unit: "ms" | "s" | "/s" | "MB" | "";
  value: number;
  goal?: Goal;
}

/** A figure over the repetitions of its scenario. */
export interface Summary {
  scenario: number;
  name: string;
  unit: Figure["unit"];
  median: number;
  least: number;
  most: number;
  goal: Goal | undefined;
  /** undefined without a goal */
  reached: boolean | undefined;
}

export function isReached(value: number, goal: Goal): boolean {
  return "atMost" in goal ? value <= goal.atMost : value >= goal.atLeast;
}
