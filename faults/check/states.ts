import type { History } from "../history/history.ts";
import type { AcceptedLine } from "../history/lines.ts";
import { groupBy, type Violation } from "./violation.ts";

/**
 * I6: a thread's final state is what an undisturbed machine would have come to: each input that was applied is in it once, in
 * order, and each step once.
 */
export function checkStates(history: History): Violation[] {
  const violations: Violation[] = [];
  const say = (subject: string, what: string) => violations.push({ invariant: "I6", subject, what });
  const threads = new Map(history.thread.map((row) => [row.thread, row]));
  const rows = new Map(history.run.map((row) => [row.run, row]));
  const inputs = groupBy(
    history.checkpoint.filter(({ source }) => source === "input"),
    ({ run }) => run,
  );

  for (const [thread, accepted] of groupBy(history.accepted, (one) => one.thread)) {
    const kept = accepted
      .filter(({ run }) => rows.has(run))
      .toSorted((a, b) => (rows.get(a.run)?.seq ?? 0) - (rows.get(b.run)?.seq ?? 0));
    const values = threads.get(thread)?.values ?? null;
    const [first] = kept;
    if (first === undefined || first.operation === "poison") continue; // all of it was rolled back, or nothing was ever done
    for (const { run, operation } of kept) {
      const times = inputs.get(run)?.length ?? 0;
      if (times > 1) say(run, `its input was applied ${times} times`);
      if (times === 0 && rows.get(run)?.status === "success" && operation !== "answer")
        say(run, "succeeded without its input");
    }
    if (first.operation === "approve") {
      const problem = approvalProblem(kept, values);
      if (problem !== undefined) say(thread, problem);
      continue;
    }
    const applied = kept.filter(({ run }) => inputs.has(run));
    const seen = (values?.["inputs"] ?? []) as string[];
    if (seen.join() !== applied.map(({ input }) => input).join())
      say(thread, `its inputs are ${seen.length}, of ${applied.length} that were applied: ${seen.join(", ")}`);
    const log = (values?.["log"] ?? []) as number[];
    const hole = log.findIndex((n, i) => n !== i + 1);
    if (hole !== -1) say(thread, `its log has ${log[hole]} at place ${hole + 1}`);
    const whole = kept.every(({ run }) => rows.get(run)?.status === "success");
    const steps = kept.reduce((sum, one) => sum + one.steps, 0);
    if (whole && log.length !== steps) say(thread, `its log has ${log.length} of ${steps} steps`);
  }
  return violations;
}

function approvalProblem(kept: AcceptedLine[], values: Record<string, unknown> | null): string | undefined {
  const answers = kept.filter(({ operation }) => operation === "answer").map(({ input }) => input);
  const seen = JSON.stringify([values?.["answers"] ?? [], values?.["log"] ?? []]);
  const expected = JSON.stringify(answers.length === 0 ? [[], ["before"]] : [answers, ["before", "after"]]);
  return seen === expected ? undefined : `its answers and log are ${seen} instead of ${expected}`;
}
