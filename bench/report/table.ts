import type { Goal, Summary } from "./figure.ts";

/** The summaries as a table of plain text: median, least to most, goal. */
export function renderTable(summaries: readonly Summary[]): string {
  const rows = summaries.map((one) => [
    `${one.scenario}  ${one.name}`,
    `${rounded(one.median)} ${one.unit}`.trimEnd(),
    one.least === one.most ? "" : `${rounded(one.least)} – ${rounded(one.most)}`,
    one.goal === undefined ? "" : renderGoal(one.goal),
    one.reached === undefined ? "" : one.reached ? "reached" : "MISSED",
  ]);
  return renderColumns([["figure", "median", "least – most", "goal", ""], ...rows]);
}

/** Columns as wide as what is in them; the first on the left, the others on the right. */
export function renderColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
  const [head = "", ...rest] = lines;
  return [head, "─".repeat(Math.max(...lines.map((line) => line.length))), ...rest].join("\n");
}

export function renderGoal(goal: Goal): string {
  return "atMost" in goal ? `≤ ${goal.atMost}` : `≥ ${goal.atLeast}`;
}

export function rounded(value: number): string {
  if (Number.isNaN(value)) return "–";
  return value >= 100 || Number.isInteger(value)
    ? String(Math.round(value))
    : value >= 10
      ? value.toFixed(1)
      : value.toFixed(2);
}
