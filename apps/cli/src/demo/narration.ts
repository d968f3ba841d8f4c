import { formatDuration, style } from "../terminal.ts";
import type { StreamEvent } from "./sse-events.ts";

/** What one event says to somebody who watches; undefined: nothing that a person needs. */
export function narrate({ event, data }: StreamEvent): string | undefined {
  const content = parse(data);
  switch (event.split("|")[0]) {
    case "metadata":
      return attemptLine(Number(content["attempt"] ?? 1));
    case "custom":
      return customLine(content);
    case "updates":
      return updateLines(content);
    case "gap":
      return style("yellow", "some events are no longer kept; going on with the current state");
    case "error":
      return style("red", `error: ${textOf(content["message"] ?? content["error"] ?? data)}`);
    default:
      return undefined;
  }
}

function attemptLine(attempt: number): string | undefined {
  return attempt > 1 ? style("yellow", `attempt ${attempt}: another worker goes on`) : undefined;
}

/** `{document, stage, message}` is how the agents of document_processor report; anything else is shown as it is. */
function customLine({ document, stage, message, ...rest }: Record<string, unknown>): string | undefined {
  if (typeof rest["count"] === "number" && typeof rest["steps_left"] === "number") {
    return countLine(rest["count"], rest["steps_left"]);
  }
  if (message === "started" || message === "finished") return undefined; // the node's own line says so
  const who = [document, stage].filter((part) => part !== undefined).map(textOf);
  const what = message === undefined ? shorten(JSON.stringify(rest)) : textOf(message);
  return `${columns(who)} ${style("dim", what)}`;
}

const BAR_WIDTH = 30;

/** How far the counter graph is. */
function countLine(count: number, left: number): string {
  const total = count + left;
  const done = Math.round((count / total) * BAR_WIDTH);
  return `${"█".repeat(done)}${style("dim", "░".repeat(BAR_WIDTH - done))} step ${count} of ${total}`;
}

/** One line per node that has finished, with what it found out about which document. */
function updateLines(content: Record<string, unknown>): string | undefined {
  const lines = Object.entries(content).flatMap(([node, update]) =>
    (Array.isArray(update) ? update : [update]).flatMap((one) => nodeLines(node, one)),
  );
  return lines.length > 0 ? lines.join("\n") : undefined;
}

function nodeLines(node: string, update: unknown): string[] {
  if (node === "__interrupt__") return [style("yellow", `waits for a person: ${shorten(JSON.stringify(update))}`)];
  const { findings, finished } = (update ?? {}) as { findings?: unknown; finished?: unknown };
  const perDocument = Object.values((findings ?? finished ?? {}) as Record<string, Finding>);
  if (perDocument.length === 0) return [`${style("green", "✔")} ${node}`];
  return perDocument.map(({ name, type, confidence, problems = [] }) => {
    const kind = node === "classify" && type !== undefined ? `${type}, ${percent(confidence)}` : "";
    const trouble = problems.length > 0 ? style("yellow", `${problems.length} problem(s)`) : "";
    return `${columns([textOf(name), node])} ${style("green", "✔")} ${[kind, trouble].filter(Boolean).join("  ")}`;
  });
}

interface Finding {
  readonly name?: string;
  readonly type?: string;
  readonly confidence?: number;
  readonly problems?: readonly string[];
}

interface Report extends Finding {
  readonly fields?: Record<string, unknown>;
  readonly summary?: string;
}

/** The result of a run of document_processor; of another graph, its last values as JSON. */
export function describeResult(values: Record<string, unknown>): string {
  const { reports } = values as { reports?: readonly Report[] };
  if (!Array.isArray(reports)) return JSON.stringify(values, undefined, 2);
  return reports.map(describeReport).join("\n\n");
}

function describeReport({ name, type, confidence, fields = {}, problems = [], summary = "" }: Report): string {
  const lines = [
    `${style("bold", textOf(name))}  ${type ?? ""} ${style("dim", percent(confidence))}`,
    ...Object.entries(fields).map(([field, value]) => `    ${style("dim", field.padEnd(20))} ${fieldText(value)}`),
    ...problems.map((problem) => style("yellow", `    ! ${problem}`)),
    ...(summary === "" ? [] : [`    ${summary.replaceAll("\n", "\n    ")}`]),
  ];
  return lines.join("\n");
}

function fieldText(value: unknown): string {
  if (!Array.isArray(value)) return shorten(textOf(value), 90);
  const isTable = value.some((item) => typeof item === "object");
  return isTable ? `${value.length} rows` : shorten(value.map(textOf).join("; "), 90);
}

/** The time since the start, in front of every line of an event. */
export function withTime(milliseconds: number, text: string): string {
  return text.replace(/^/gm, `${style("dim", formatDuration(milliseconds).padStart(8))}  `);
}

function columns([first = "", ...others]: readonly string[]): string {
  return [shorten(first, 30).padEnd(30), ...others.map((other) => other.padEnd(12))].join(" ");
}

function parse(data: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(data);
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : { message: parsed };
  } catch {
    return { message: data };
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function shorten(text: string, length = 100): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function percent(share: number | undefined): string {
  return share === undefined ? "" : `${Math.round(share * 100)} %`;
}
