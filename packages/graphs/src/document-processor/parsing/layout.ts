import { type DecimalMark, decimalMarkOf } from "./amounts.ts";
import { findCurrency } from "./currencies.ts";
import { type DayOrder, dayOrderOf } from "./dates.ts";

/** A line of a document: as written, and split into the cells of a table or of text set in columns. */
export interface Line {
  readonly text: string;
  readonly cells: readonly string[];
  readonly isHeading: boolean;
}

/** A document's text together with what it says about its own notation. */
export interface Layout {
  readonly text: string;
  /** Lines that are not empty. */
  readonly lines: readonly Line[];
  readonly currency: string | undefined;
  readonly decimalMark: DecimalMark | undefined;
  readonly dayOrder: DayOrder;
  /** False when nothing in the document tells how its slash dates are meant. */
  readonly isDayOrderCertain: boolean;
}

/** Splits a text in the processor's notation (see `Draft.text`) and finds out its conventions. */
export function layOut(text: string): Layout {
  const currency = findCurrency(text);
  const { order, isCertain } = dayOrderOf(text, currency);
  const lines = text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(toLine);
  return {
    text,
    lines,
    currency,
    decimalMark: decimalMarkOf(text),
    dayOrder: order,
    isDayOrderCertain: isCertain,
  };
}

/** A table may have a column "#", and that is no heading. */
const HEADING = /^# (?!\s*\|)/;

/** Columns are cells separated by `|`, tabs or at least two spaces or dot leaders; rules such as `-----` are no content. */
function toLine(raw: string): Line {
  const text = raw.trim().replace(HEADING, "");
  const cells = text
    .replace(/^\||\|$/g, "")
    .split(/\s*\|\s*|\t+| {2,}|\s*[.…·_]{4,}\s*/)
    .map((cell) => cell.trim());
  return { text, cells, isHeading: HEADING.test(raw.trim()) };
}
