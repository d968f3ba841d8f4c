import { ambiguousDates, dayOrderOf } from "../parsing/dates.ts";
import { findCurrency } from "../parsing/currencies.ts";
import type { Fields } from "../state.ts";

const EARLIEST = "1970-01-01";
/** Contracts end and invoices fall due in the future; nothing is issued there. */
const MAY_BE_FUTURE = new Set(["due_date", "end_date", "effective_date"]);
const DAY_MS = 86_400_000;
const MAX_DUE_DAYS = 400;

/** Checks that dates exist, lie within reason and stand in order. Dates are `YYYY-MM-DD`, so they compare as text. */
export function checkDates(fields: Fields, text: string, today = new Date()): string[] {
  const dates = Object.entries(fields).filter(
    (entry): entry is [string, string] => entry[0].endsWith("date") && typeof entry[1] === "string",
  );
  // A day of grace, because the sender's day may have begun before ours.
  const latest = new Date(today.getTime() + DAY_MS).toISOString().slice(0, 10);
  const problems = dates.flatMap(([name, date]) => {
    if (!isCalendarDate(date)) return [`date_invalid: ${name} is ${date}`];
    if (date < EARLIEST) return [`date_implausible: ${name} is ${date}`];
    return date > latest && !MAY_BE_FUTURE.has(name) ? [`date_in_future: ${name} is ${date}`] : [];
  });
  return [...problems, ...checkOrder(fields), ...checkAmbiguity(text)];
}

function checkOrder(fields: Fields): string[] {
  const { issue_date: issued, due_date: due, effective_date: start, end_date: end } = fields;
  const problems: string[] = [];
  if (typeof issued === "string" && typeof due === "string") {
    const days = (Date.parse(due) - Date.parse(issued)) / DAY_MS;
    if (days < 0) problems.push(`due_date_before_issue_date: due ${due}, issued ${issued}`);
    else if (days > MAX_DUE_DAYS) problems.push(`due_date_implausible: ${days} days after the issue date`);
  }
  if (typeof start === "string" && typeof end === "string" && end < start) {
    problems.push(`end_date_before_effective_date: ends ${end}, starts ${start}`);
  }
  return problems;
}

/** Slash dates that nothing in the document decides were read day first; a person may know better. */
function checkAmbiguity(text: string): string[] {
  const ambiguous = ambiguousDates(text);
  if (ambiguous.length === 0 || dayOrderOf(text, findCurrency(text)).isCertain) return [];
  return [`date_ambiguous: ${ambiguous[0]} was read as day/month/year`];
}

function isCalendarDate(date: string): boolean {
  const parsed = new Date(`${date}T00:00:00Z`);
  return /^\d{4}-\d{2}-\d{2}$/.test(date) && !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
}
