import { percentile } from "../../bench/report/statistics.ts";
import { renderColumns, renderGoal, rounded } from "../../bench/report/table.ts";
import type { History } from "../history/history.ts";
import { countRedone } from "../check/effects.ts";
import { recoveryTimes } from "../check/recovery.ts";
import type { Violation } from "../check/violation.ts";
import type { MeasuredTarget } from "../targets/measure.ts";

export interface FaultFigures {
  readonly kind: string;
  readonly times: number;
  /** Runs that the faults of this kind hit. */
  readonly hit: number;
  /** in ms; null when no run was hit */
  readonly p50: number | null;
  readonly p99: number | null;
  readonly worst: number | null;
}

export interface Report {
  readonly at: string;
  readonly seed: number;
  readonly commit: string;
  readonly minutes: number;
  readonly accepted: number;
  readonly faults: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly foreignCheckpoints: number;
  readonly stepsRedone: number;
  readonly streams: number;
  readonly reconnects: number;
  readonly gaps: number;
  readonly violations: readonly Violation[];
  readonly recovery: readonly FaultFigures[];
}

export function reportOf(history: History, violations: readonly Violation[]): Report {
  const [campaign] = history.campaign;
  const last = Math.max(campaign?.at ?? 0, ...history.fault.map(({ healedAt }) => healedAt));
  const of = (pattern: RegExp): number => violations.filter(({ what }) => pattern.test(what)).length;
  return {
    at: new Date(campaign?.at ?? 0).toISOString(),
    seed: campaign?.seed ?? NaN,
    commit: campaign?.commit ?? "",
    minutes: Math.round((last - (campaign?.at ?? 0)) / 6_000) / 10,
    accepted: history.accepted.length,
    faults: history.fault.length,
    lost: violations.filter(({ invariant, what }) => invariant === "I1" && /^(is still|was accepted)/.test(what))
      .length,
    duplicated: of(/^had ended, and became|^[2-9]\d* ends/),
    foreignCheckpoints: violations.filter(({ invariant }) => invariant === "I2").length,
    stepsRedone: countRedone(history),
    streams: history.stream.length,
    reconnects: history.stream.reduce((sum, { connections }) => sum + Math.max(connections - 1, 0), 0),
    gaps: history.stream.reduce((sum, { events }) => sum + events.filter((event) => event.endsWith(" gap")).length, 0),
    violations,
    recovery: [...recoveryTimes(history)]
      .map(([kind, times]) => ({
        kind,
        times: history.fault.filter((fault) => fault.kind === kind).length,
        hit: times.length,
        p50: whole(percentile(times, 50)),
        p99: whole(percentile(times, 99)),
        worst: whole(percentile(times, 100)),
      }))
      .toSorted((a, b) => a.kind.localeCompare(b.kind)),
  };
}

function whole(ms: number): number | null {
  return Number.isNaN(ms) ? null : Math.round(ms);
}

/** The report for people. */
export function renderReport(report: Report): string {
  const seconds = (ms: number | null): string => (ms === null ? "–" : (ms / 1000).toFixed(2));
  const head = [
    `${report.at}  commit ${report.commit}  seed ${report.seed}  ${report.minutes} minutes`,
    `${report.accepted} runs accepted, ${report.faults} faults: ${report.lost} lost, ${report.duplicated} duplicated ends, ${report.foreignCheckpoints} foreign checkpoints, ${report.stepsRedone} steps redone`,
    `${report.streams} streams with ${report.reconnects} reconnections and ${report.gaps} announced gaps`,
  ];
  const table = renderColumns([
    ["fault", "times", "runs hit", "p50 s", "p99 s", "worst s"],
    ...report.recovery.map((one) => [
      one.kind,
      String(one.times),
      String(one.hit),
      seconds(one.p50),
      seconds(one.p99),
      seconds(one.worst),
    ]),
  ]);
  const shown = report.violations
    .slice(0, 40)
    .map(({ invariant, subject, what }) => `${invariant}  ${subject}  ${what}`);
  const verdict =
    report.violations.length === 0
      ? "I1 to I8 hold."
      : `${report.violations.length} violations; to repeat: npm run test:faults -- --seed ${report.seed}\n${shown.join("\n")}`;
  return `${head.join("\n")}\n\n${table}\n\n${verdict}`;
}

/** The measured promises for people. */
export function renderTargets(measured: readonly MeasuredTarget[]): string {
  const rows = measured.flatMap(({ target, figures }) =>
    figures.map(({ name, value, unit, goal, reached }) => [
      `${target}  ${name}`,
      `${rounded(value)} ${unit}`.trimEnd(),
      goal === undefined ? "" : renderGoal(goal),
      reached === undefined ? "" : reached ? "reached" : "MISSED",
    ]),
  );
  return renderColumns([["target", "measured", "promised", ""], ...rows]);
}
