import { style, type Style } from "../terminal.ts";

const LEVELS: Record<number, { name: string; style: Style }> = {
  10: { name: "trace", style: "dim" },
  20: { name: "debug", style: "dim" },
  30: { name: "info", style: "dim" },
  40: { name: "warn", style: "yellow" },
  50: { name: "error", style: "red" },
  60: { name: "fatal", style: "red" },
};
const WARNING = 40;
/** Fields that every line has, or that are shown in a place of their own. */
const NOT_SHOWN = new Set(["level", "time", "pid", "hostname", "msg", "name", "process", "err", "stack", "v"]);

/**
 * One line of a process's output as a person wants to read it; undefined: not worth showing. Log lines are JSON (pino)
 * and shown from "warn" on; anything else was printed by somebody's graph and is shown as it is.
 */
export function readableLine(source: string, line: string, verbose: boolean): string | undefined {
  const entry = parseEntry(line);
  const from = style("cyan", source.padEnd(9));
  if (entry === undefined) return line.trim() === "" ? undefined : `${from} ${line}`;
  const level = Number(entry["level"]);
  if (level < WARNING && !verbose) return undefined;
  const { name, style: format } = LEVELS[level] ?? { name: "log", style: "dim" };
  const parts = [typeof entry["msg"] === "string" ? entry["msg"] : "", errorText(entry["err"]), fieldsText(entry)];
  return `${from} ${style(format, name.padEnd(5))} ${parts.filter(Boolean).join("  ")}`;
}

function parseEntry(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const entry = JSON.parse(line) as Record<string, unknown>;
    return typeof entry["level"] === "number" ? entry : undefined;
  } catch {
    return undefined;
  }
}

function errorText(error: unknown): string {
  if (typeof error === "string") return error;
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === "string" ? message : "";
}

function fieldsText(entry: Record<string, unknown>): string {
  const fields = Object.entries(entry)
    .filter(([key]) => !NOT_SHOWN.has(key))
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return style("dim", fields.join(" "));
}
