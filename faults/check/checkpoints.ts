import type { History } from "../history/history.ts";
import { groupBy, type Violation } from "./violation.ts";

/**
 * I2: a thread's root checkpoints are one chain, each the child of the one before, steps without a hole; within a run attempts
 * only grow: nothing of an attempt was stored after its successor had begun.
 */
export function checkCheckpoints(history: History): Violation[] {
  const violations: Violation[] = [];
  const say = (subject: string, what: string) => violations.push({ invariant: "I2", subject, what });
  const known = new Map(history.run.map((row) => [row.run, row]));
  for (const [thread, chain] of groupBy(history.checkpoint, ({ thread: id }) => id)) {
    const attempts = new Map<string, number>();
    for (const [i, point] of chain.entries()) {
      const before = chain[i - 1];
      if (point.parent !== (before?.id ?? null))
        say(thread, `checkpoint ${point.id} (step ${point.step}) is not the child of the one before it`);
      if (before !== undefined && point.step !== before.step + 1)
        say(thread, `step ${point.step} follows step ${before.step}`);
      if (point.run === null || point.attempt === null) {
        say(thread, `checkpoint ${point.id} belongs to no run`);
        continue;
      }
      const row = known.get(point.run);
      if (row === undefined) say(thread, `checkpoint ${point.id} belongs to a run that is gone`);
      else if (point.attempt > row.attempt)
        say(thread, `checkpoint ${point.id} is of attempt ${point.attempt} of ${row.attempt}`);
      if (point.attempt < (attempts.get(point.run) ?? 0))
        say(
          thread,
          `a checkpoint of attempt ${point.attempt} was stored after one of attempt ${attempts.get(point.run)}`,
        );
      attempts.set(point.run, point.attempt);
    }
  }
  return violations;
}
