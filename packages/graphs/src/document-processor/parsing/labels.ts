import type { Layout, Line } from "./layout.ts";

/** Turns what stands at a label into a value, or undefined when it is something else. */
export type Accept<T> = (candidate: string) => T | undefined;

/**
 * The value that belongs to a label, wherever layouts put it: behind the label, in the next cell, or in the same column
 * of the next line. The first place whose content `accept` understands wins; labels that begin a cell go before labels
 * in the middle of a sentence.
 *
 * @param label a pattern without anchors, such as `due date|fällig am`
 */
export function findLabelled<T>(layout: Layout, label: string, accept: Accept<T>): T | undefined {
  const atStart = new RegExp(String.raw`^(?:${label})(?![\p{L}\d])\s*`, "iu");
  const anywhere = new RegExp(String.raw`(?<![\p{L}\d-])(?:${label})(?![\p{L}\d])\s*`, "iu");
  return search(layout, atStart, accept) ?? search(layout, anywhere, accept);
}

function search<T>({ lines }: Layout, label: RegExp, accept: Accept<T>): T | undefined {
  for (const [at, line] of lines.entries()) {
    for (const [column, cell] of line.cells.entries()) {
      const match = label.exec(cell);
      if (match === null) continue;
      const behind = cell.slice(match.index + match[0].length).replace(/^(?:\([^)]*\))?[\s:=#.–-]+(?!\d)|^[\s:=]+/, "");
      const value = tryEach([behind, line.cells[column + 1], below(line, lines[at + 1], column)], accept);
      if (value !== undefined) return value;
    }
  }
  return undefined;
}

/** Only a line of the same shape can be the row under a heading; with one column every line has that shape. */
function below(line: Line, next: Line | undefined, column: number): string | undefined {
  if (next === undefined) return undefined;
  return next.cells.length === line.cells.length || column === 0 ? next.cells[column] : undefined;
}

function tryEach<T>(candidates: readonly (string | undefined)[], accept: Accept<T>): T | undefined {
  for (const candidate of candidates) {
    const value = candidate === undefined || candidate === "" ? undefined : accept(candidate);
    if (value !== undefined) return value;
  }
  return undefined;
}
