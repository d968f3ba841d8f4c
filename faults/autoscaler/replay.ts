import type { Random } from "../random.ts";
import { Scaler, type ScalerOptions } from "./scaler.ts";

/** A run of the day that is replayed: when it was submitted and how long it takes, in s. */
export interface DemandedRun {
  readonly at: number;
  readonly seconds: number;
}

/** A day's demand: more in the daytime than at night, and every hour or two a burst of some hundred runs within a minute. */
export function demandOfADay(random: Random, hours = 24): DemandedRun[] {
  const runs: DemandedRun[] = [];
  const lengthOf = (): number => Math.min(Math.exp(2.2 + 0.9 * gaussian(random)), 600); // mean 13 s, and a long tail
  for (let at = 0; at < hours * 3600; at++) {
    const daytime = 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / 86_400);
    const rate = 0.1 + 2 * daytime;
    for (let left = poisson(random, rate); left > 0; left--) runs.push({ at, seconds: lengthOf() });
    if (random.next() < 1 / 5_400)
      for (let left = random.int(100, 400); left > 0; left--)
        runs.push({ at: at + random.int(0, 60), seconds: lengthOf() });
  }
  return runs.toSorted((a, b) => a.at - b.at);
}

export interface ReplayOptions extends ScalerOptions {
  /** What the scaler is told, in place of demand. */
  readonly metric?: (state: { runnable: number; running: number }) => number;
  /** When the metric is not there, in s. */
  readonly outage?: readonly [from: number, to: number];
  /** What the scaler is told then; NaN unless somebody takes no answer for nothing. */
  readonly missing?: number;
  /** From the decision to a worker that takes runs, in s. */
  readonly startSeconds?: number;
}

export interface Replayed {
  /** s from submission to the first start, of each run */
  readonly waits: number[];
  /** how often there were to be fewer workers than what ran at that moment needs */
  readonly belowLive: number;
  /** times that a worker was taken away and one was missed within two minutes */
  readonly flaps: number;
  /** times that a run was handed over because its worker was taken away */
  readonly handOvers: number;
  readonly replicaSeconds: number;
}

/** Replays demand second by second against a fleet that the scaler grows and shrinks. */
export function replay(runs: readonly DemandedRun[], options: ReplayOptions): Replayed {
  const {
    slots,
    everySeconds,
    metric = ({ runnable, running }) => runnable + running,
    outage,
    missing = NaN,
    startSeconds = 20,
  } = options;
  const scaler = new Scaler(options);
  const waits: number[] = [];
  const starting: number[] = [];
  let queue: { submitted: number; left: number; begun: boolean }[] = [];
  let running: { left: number }[] = [];
  let [ready, next, belowLive, flaps, handOvers, replicaSeconds, direction, turnedAt] = [
    options.least,
    0,
    0,
    0,
    0,
    0,
    0,
    -Infinity,
  ];

  for (let now = 0; next < runs.length || queue.length > 0 || running.length > 0; now++) {
    for (let run = runs[next]; run !== undefined && run.at <= now; run = runs[++next])
      queue.push({ submitted: run.at, left: run.seconds, begun: false });
    while ((starting[0] ?? Infinity) <= now) ready += starting.shift() === undefined ? 0 : 1;
    running = running.filter((run) => (run.left -= 1) > 0);
    const free = Math.max(ready * slots - running.length, 0);
    for (const run of queue.slice(0, free)) {
      if (!run.begun) waits.push(now - run.submitted);
      running.push({ left: run.left });
    }
    queue = queue.slice(free);

    if (now % everySeconds === 0) {
      const isOut = outage !== undefined && now >= outage[0] && now < outage[1];
      const demand = isOut ? missing : metric({ runnable: queue.length, running: running.length });
      const replicas = ready + starting.length;
      const decided = scaler.decide(now, { demand, replicas });
      if (decided * slots < running.length) belowLive++;
      const turn = Math.sign(decided - replicas);
      if (turn > 0 && direction < 0 && now - turnedAt < 120) flaps++;
      if (turn !== 0) [direction, turnedAt] = [turn, now];
      for (let i = replicas; i < decided; i++) starting.push(now + startSeconds);
      for (let i = decided; i < replicas; i++) if (starting.pop() === undefined) ready--;
      // Who is taken away gives its runs back between two steps: they go on elsewhere, before what has not begun.
      const displaced = running.splice(Math.max(ready, 0) * slots);
      handOvers += displaced.length;
      queue.unshift(...displaced.map(({ left }) => ({ submitted: now, left, begun: true })));
    }
    replicaSeconds += ready + starting.length;
  }
  return { waits, belowLive, flaps, handOvers, replicaSeconds };
}

function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

function poisson(random: Random, rate: number): number {
  let n = 0;
  for (let left = Math.exp(-rate), p = random.next(); p > left; p *= random.next()) n++;
  return n;
}
