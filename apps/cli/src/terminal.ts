import { styleText } from "node:util";

export type Style = Parameters<typeof styleText>[0];

/** Colours only where somebody looks: a terminal, and NO_COLOR not set. */
const colourful = process.stdout.isTTY && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";

export function style(format: Style, text: string): string {
  return colourful ? styleText(format, text) : text;
}

/** "0.3 s", "12.4 s", "2 min 5 s" */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** Shortens to what fits in one line of the terminal, ignoring colours. */
export function fitLine(text: string, columns = process.stdout.columns || 120): string {
  return text.length < columns ? text : `${text.slice(0, columns - 2)}…`;
}
