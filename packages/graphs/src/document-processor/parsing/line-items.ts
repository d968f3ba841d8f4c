import { type LineItem, readRow } from "./item-rows.ts";
import type { Layout } from "./layout.ts";
import { type Column, columnsOf } from "./table-headings.ts";
import { isTotalLine } from "./totals.ts";

/** The rows under the table's heading up to the totals; without a heading, the lines before the totals that end in money. */
export function findLineItems(layout: Layout): LineItem[] {
  const headings = layout.lines.flatMap((line, at) => (columnsOf(line) === undefined ? [] : [at]));
  const start = headings[0];
  if (start === undefined) return rowsFrom(layout, 0, undefined);
  const items = rowsFrom(layout, start, columnsOf(layout.lines[start]));
  return items.length > 0 ? items : rowsFrom(layout, 0, undefined);
}

function rowsFrom(layout: Layout, start: number, heading: readonly Column[] | undefined): LineItem[] {
  const items: LineItem[] = [];
  for (const line of layout.lines.slice(start)) {
    // The heading and a "carried forward" line are repeated on every page.
    if (
      columnsOf(line) !== undefined ||
      /\b(?:carried|brought) forward\b|^übertrag|^report à nouveau|^(?:page|seite|página|pagina)\s\d/i.test(line.text)
    )
      continue;
    if (isTotalLine(line.text)) {
      if (items.length > 0) break;
      continue;
    }
    const item = readRow(line, heading, layout);
    if (item !== undefined) items.push(item);
  }
  return items;
}
