import type { History } from "../history/history.ts";
import { groupBy, type Violation } from "./violation.ts";

const FINAL = new Set(["success", "error", "timeout", "interrupted", "deleted"]);

/** I1: every run that was accepted comes to exactly one end, and to the one that it should. */
export function checkEnds(history: History): Violation[] {
  const violations: Violation[] = [];
  const say = (subject: string, what: string) => violations.push({ invariant: "I1", subject, what });
  const transitions = groupBy(history.transition, ({ run }) => run);
  const cancels = new Set(history.cancel.map(({ run }) => run));
  const stormed = new Set(
    history.accepted.filter(({ operation }) => operation === "storm").map(({ thread }) => thread),
  );

  for (const { run, thread, operation } of history.accepted) {
    const own = transitions.get(run) ?? [];
    if (own.length === 0) say(run, "was accepted and left no trace");
    const last = own.at(-1)?.became;
    if (last !== undefined && !FINAL.has(last)) say(run, `is still ${last}`);
    if (operation === "poison" && last !== "error") say(run, `kills its process and ended as ${last}`);
    const mayStop =
      operation === "cancel" ? cancels.has(run) || last === "interrupted" || last === "deleted" : stormed.has(thread);
    if (last === "error" && operation !== "poison") {
      const { error } = history.run.find((row) => row.run === run) ?? {};
      say(run, `failed: ${error?.error}: ${error?.message}`);
    }
    if ((last === "interrupted" || last === "deleted") && !mayStop)
      say(run, `ended as ${last}, and nobody had asked for it`);
  }
  for (const [run, own] of transitions) {
    const end = own.findIndex(({ became }) => FINAL.has(became));
    for (const { was, became } of end === -1 ? [] : own.slice(end + 1))
      if (!(became === "deleted" && was !== "deleted")) say(run, `had ended, and became ${became} afterwards`);
  }
  for (const { operation, input, reason } of history.unanswered) say(input, `submission (${operation}): ${reason}`);
  return violations;
}
