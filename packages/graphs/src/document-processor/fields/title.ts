import { parseDate } from "../parsing/dates.ts";
import type { Layout } from "../parsing/layout.ts";

/** The document's title: what a "Title:" line says, the first heading, or the first line that can be one. */
export function findTitle({ lines }: Layout): string | undefined {
  const labelled = lines
    .slice(0, 10)
    .map((line) => /^(?:title|titel|titre)\s*:\s*(.+)$/i.exec(line.text)?.[1])
    .find(Boolean);
  if (labelled !== undefined) return labelled;
  const heading = lines.slice(0, 15).find((line) => line.isHeading && /\p{L}{3}/u.test(line.text));
  if (heading !== undefined) return heading.text;
  return lines
    .slice(0, 8)
    .map((line) => line.cells[0] ?? "")
    .find(
      (cell) =>
        /\p{L}{3}/u.test(cell) && cell.length <= 120 && !/^[^:]{1,20}:\s/.test(cell) && parseDate(cell) === undefined,
    );
}
