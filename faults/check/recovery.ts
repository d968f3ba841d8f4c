import type { History } from "../history/history.ts";
import type { EffectLine, FaultLine, TransitionLine } from "../history/lines.ts";
import { groupBy } from "./violation.ts";

/**
 * How long runs that a fault hit stood still, in ms, by the kind of fault. One that another fault of a server hit before it got on
 * says nothing of the first and is left out.
 */
export function recoveryTimes(history: History): Map<string, number[]> {
  const effects = groupBy(history.effect, ({ run }) => run);
  const transitions = groupBy(history.transition, ({ run }) => run);
  const times = new Map<string, number[]>();
  for (const fault of history.fault) {
    const own = times.get(fault.kind) ?? [];
    times.set(fault.kind, own);
    for (const run of fault.affected) {
      const ms = recoveryOf(fault, effects.get(run) ?? [], transitions.get(run) ?? []);
      if (ms !== undefined && !isOverlaid(history, fault, run, ms)) own.push(ms);
    }
  }
  return times;
}

/**
 * From the fault (or its healing) to the first step that a run begins afterwards, or to its end; for a process that the fault
 * took out only what others do counts. A hand-over is measured from when the run was given back to when it is taken again.
 */
function recoveryOf(
  fault: FaultLine,
  effects: readonly EffectLine[],
  transitions: readonly TransitionLine[],
): number | undefined {
  if (fault.recoversFrom === "hand-over") {
    const given = transitions.findIndex(
      ({ became, at }) => became === "pending" && at >= fault.at && at <= fault.healedAt + 1_000,
    );
    const taken = transitions.slice(given + 1).find(({ became }) => became !== "pending");
    return given === -1 || taken === undefined ? undefined : taken.at - (transitions[given]?.at ?? 0);
  }
  const from = fault.recoversFrom === "injection" ? fault.at : fault.healedAt;
  const isElsewhere = (pid: number): boolean => fault.recoversFrom !== "injection" || pid !== fault.pid;
  const step = effects.find(({ at, pid, step: begun }) => begun !== undefined && at >= from && isElsewhere(pid))?.at;
  const end = transitions.find(({ at, became }) => at >= from && became !== "pending" && became !== "running")?.at;
  const first = Math.min(step ?? Infinity, end ?? Infinity);
  return Number.isFinite(first) ? first - from : undefined;
}

/** Whether something else went wrong for the run between a fault and its recovery from it. */
function isOverlaid({ fault: faults }: History, fault: FaultLine, run: string, ms: number): boolean {
  const until = (fault.recoversFrom === "healing" ? fault.healedAt : fault.at) + ms;
  return faults.some(
    (other) =>
      other.n !== fault.n &&
      other.at < until &&
      other.healedAt > fault.at &&
      (other.pid === undefined || other.affected.includes(run)),
  );
}
