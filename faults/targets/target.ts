import type { Figure } from "../../bench/report/figure.ts";
import type { HistoryWriter } from "../history/history.ts";
import type { Random } from "../random.ts";
import type { Fleet, FleetOptions } from "../stack/fleet.ts";

/** One thing that Flotilla promises with a number. */
export interface Target {
  readonly name: string;
  readonly title: string;
  /** Left out of the look that CI takes: it takes long, or another target shows nearly the same. */
  readonly long?: boolean;
  measure(context: TargetContext): Promise<Figure[]>;
}

export interface TargetContext {
  readonly random: Random;
  /** Fewer repetitions, for a look in CI. */
  readonly quick: boolean;
  /** A fleet of its own, which ends with the target. */
  startFleet(options?: Partial<FleetOptions>): Promise<Fleet>;
  /** A history of its own, beside the campaign's. */
  openHistory(): { history: HistoryWriter; file: string };
  say(text: string): void;
}

/** A promise of "none". */
export const none = (name: string, value: number): Figure => ({ name, unit: "", value, goal: { atMost: 0 } });
