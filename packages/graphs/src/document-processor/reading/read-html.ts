import { convert } from "html-to-text";
import type { FormatCallback, HtmlToTextOptions } from "html-to-text";

/**
 * More than any document of readable length has. The parser's time grows with the square of the nesting, and how deep
 * elements are nested is known only when they are parsed.
 */
const MAX_ELEMENTS = 50_000;

/** Text of an HTML document: headings as `# …`, table rows as one line with cells separated by ` | `. */
export function readHtml(html: string): string {
  const elements = html.match(/<[a-z]/gi)?.length ?? 0;
  if (elements > MAX_ELEMENTS) throw new Error(`it has ${elements} elements; the limit is ${MAX_ELEMENTS}`);
  return convert(html, OPTIONS);
}

/**
 * Rows of simple cells become lines. A table used for layout has cells of several lines: rows of those are written
 * line by line, the way the page shows the blocks side by side.
 */
const tableRows: FormatCallback = (element, walk, builder) => {
  builder.openTable();
  walkRows(element.children, walk, builder);
  builder.closeTable({
    tableToString: (rows) => (rows as unknown as { text: string }[][]).map(rowLines).join("\n"),
    leadingLineBreaks: 2,
    trailingLineBreaks: 2,
  });
};

type Walk = Parameters<FormatCallback>[1];
type Builder = Parameters<FormatCallback>[2];
type Nodes = Parameters<Walk>[0];

function walkRows(nodes: Nodes, walk: Walk, builder: Builder): void {
  for (const node of nodes) {
    if (node.type !== "tag") continue;
    if (node.name !== "tr") {
      walkRows(node.children, walk, builder);
      continue;
    }
    builder.openTableRow();
    for (const cell of node.children) {
      if (cell.name !== "td" && cell.name !== "th") continue;
      builder.openTableCell({ maxColumnWidth: undefined as unknown as number });
      walk(cell.children, builder);
      builder.closeTableCell({ colspan: 1, rowspan: 1 });
    }
    builder.closeTableRow();
  }
}

function rowLines(cells: readonly { text: string }[]): string {
  const columns = cells.map(({ text }) =>
    text
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean),
  );
  const height = Math.max(0, ...columns.map((lines) => lines.length));
  const rows = Array.from({ length: height }, (_, at) => columns.map((lines) => lines[at] ?? "").join(" | "));
  return rows.join("\n");
}

const OPTIONS: HtmlToTextOptions = {
  wordwrap: false,
  formatters: {
    tableRows,
    marked: (element, walk, builder) => {
      builder.openBlock({ leadingLineBreaks: 2 });
      builder.addInline("# ");
      walk(element.children, builder);
      builder.closeBlock({ trailingLineBreaks: 2 });
    },
  },
  selectors: [
    { selector: "table", format: "tableRows" },
    ...["h1", "h2", "h3", "h4", "h5", "h6"].map((selector) => ({ selector, format: "marked" })),
    { selector: "a", options: { ignoreHref: true } },
    ...["img", "style", "script", "head", "nav", "template"].map((selector) => ({ selector, format: "skip" })),
    { selector: "dt", format: "block", options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
  ],
  limits: { maxInputLength: 10_000_000, maxDepth: 200 },
};
