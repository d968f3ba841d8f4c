import type { History } from "../history/history.ts";
import { groupBy, type Violation } from "./violation.ts";

/** I5: runs of a thread never overlap, one that has begun is not overtaken, and they begin in the order of acceptance. */
export function checkOrder(history: History): Violation[] {
  const violations: Violation[] = [];
  const say = (subject: string, what: string) => violations.push({ invariant: "I5", subject, what });
  for (const [thread, transitions] of groupBy(history.transition, (line) => `${line.tenant}/${line.thread}`)) {
    let running: string | undefined;
    let begun: string | undefined;
    let lastBegun = 0;
    for (const { run, seq, became } of transitions) {
      if (became !== "running") {
        if (running === run) running = undefined;
        if (begun === run && became !== "pending") begun = undefined;
        continue;
      }
      if (running !== undefined && running !== run) say(thread, `${run} began while ${running} ran`);
      if (begun !== undefined && begun !== run) say(thread, `${run} began before ${begun} had ended`);
      if (begun !== run && seq < lastBegun) say(thread, `${run} (${seq}) began after a later one (${lastBegun})`);
      [running, begun, lastBegun] = [run, run, Math.max(lastBegun, seq)];
    }
  }
  return violations;
}
