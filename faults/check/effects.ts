import type { History } from "../history/history.ts";
import type { EffectLine } from "../history/lines.ts";
import { groupBy, type Violation } from "./violation.ts";

/** A process that was asleep or cut off may finish the step it was in before it hears that it is over, in ms. */
const NOTICE_MS = 15_000;

/**
 * I3: what a run's state says was done was done, at least once, and as often as it had attempts at the most. After its end
 * nothing begins any more but what a process that was cut off at the time was in the middle of.
 */
export function checkEffects(history: History): Violation[] {
  const violations: Violation[] = [];
  const say = (subject: string, what: string) => violations.push({ invariant: "I3", subject, what });
  const effects = groupBy(history.effect, ({ run }) => run);
  const transitions = groupBy(history.transition, ({ run }) => run);
  const steps = new Map(history.accepted.map((one) => [one.run, one.steps]));

  for (const row of history.run) {
    const own = effects.get(row.run) ?? [];
    const expected = steps.get(row.run) ?? 0;
    const begun = groupBy(
      own.filter(({ step }) => step !== undefined),
      ({ step }) => String(step),
    );
    if (row.status === "success" && begun.size < expected)
      say(row.run, `succeeded with ${begun.size} of ${expected} steps`);
    for (const [step, times] of begun)
      if (times.length > row.attempt) say(row.run, `step ${step} ran ${times.length} times in ${row.attempt} attempts`);
    const end = transitions.get(row.run)?.find(({ became }) => !["pending", "running"].includes(became));
    for (const late of own.filter(({ at, step }) => end !== undefined && step !== undefined && at > end.at + 50))
      if (!wasDisturbed(history, late))
        say(
          row.run,
          `step ${late.step} began ${Math.round(late.at - (end?.at ?? 0))} ms after its end as ${row.status}`,
        );
  }
  return violations;
}

function wasDisturbed(history: History, { pid, at }: EffectLine): boolean {
  return history.fault.some(
    (fault) => (fault.pid === undefined || fault.pid === pid) && fault.at <= at && at <= fault.healedAt + NOTICE_MS,
  );
}

/** Steps that ran again: what the crashes cost. */
export function countRedone(history: History): number {
  const times = new Map<string, number>();
  for (const { run, step } of history.effect)
    if (step !== undefined) times.set(`${run} ${step}`, (times.get(`${run} ${step}`) ?? 0) + 1);
  return [...times.values()].reduce((sum, n) => sum + n - 1, 0);
}
