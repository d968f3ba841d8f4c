/** Longest document that is read, in pages; the rest is left out and named as a problem. */
export const MAX_PAGES = 200;

/** A gap wider than this many font sizes separates two columns. */
const COLUMN_GAP = 1.6;

/** Lines this much larger than the page's usual type are headings. */
const HEADING_SIZE = 1.25;

interface TextItem {
  readonly str: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly fontSize: number;
}

/** What is used of the reader's document; its own types come from a package that is not installed. */
interface PdfDocument {
  readonly numPages: number;
  destroy(): Promise<void>;
}

/**
 * Text of a PDF in the processor's notation. PDFs hold positioned glyphs rather than lines: items on the same height
 * form a line, wide gaps within it separate cells, large type marks headings. Throws when the file is damaged.
 *
 * The reader is loaded at the first PDF: it takes some 15 MB that a worker without PDFs does not need to spend.
 */
export async function readPdf(bytes: Uint8Array): Promise<{ text: string; pages: number }> {
  const { extractTextItems, getDocumentProxy } = await import("unpdf");
  // The reader takes the buffer over and empties it, so it gets a copy; verbosity 0 keeps it off the console.
  const options = { verbosity: 0, stopAtErrors: false };
  const document = (await getDocumentProxy(new Uint8Array(bytes), options)) as unknown as PdfDocument;
  try {
    if (document.numPages > MAX_PAGES) throw new Error(`it has ${document.numPages} pages; the limit is ${MAX_PAGES}`);
    const { items, totalPages } = await extractTextItems(document as Parameters<typeof extractTextItems>[0]);
    return { text: items.map(pageText).join("\n\n"), pages: totalPages };
  } finally {
    await document.destroy();
  }
}

function pageText(items: readonly TextItem[]): string {
  const usual = usualSize(items);
  const lines = groupIntoLines(items.filter((item) => item.str.trim() !== ""));
  let text = "";
  let previousY: number | undefined;
  for (const line of lines) {
    const size = Math.max(...line.map((item) => item.fontSize));
    const y = line[0]?.y ?? 0;
    // More than two lines' height of white space ends a paragraph.
    if (previousY !== undefined) text += previousY - y > size * 2.2 ? "\n\n" : "\n";
    const written = lineText(line);
    text += size >= usual * HEADING_SIZE && !written.includes(" | ") ? `# ${written}` : written;
    previousY = y;
  }
  return text;
}

/** Items whose baselines differ by less than half their size share a line; lines run from top to bottom. */
function groupIntoLines(items: readonly TextItem[]): TextItem[][] {
  const lines: TextItem[][] = [];
  for (const item of items.toSorted((a, b) => b.y - a.y)) {
    const line = lines.at(-1);
    const reference = line?.[0];
    if (line !== undefined && reference !== undefined && reference.y - item.y < item.fontSize * 0.5) line.push(item);
    else lines.push([item]);
  }
  return lines.map((line) => line.toSorted((a, b) => a.x - b.x));
}

function lineText(line: readonly TextItem[]): string {
  let text = "";
  let end: number | undefined;
  for (const item of line) {
    const gap = end === undefined ? 0 : item.x - end;
    if (end !== undefined && gap > item.fontSize * COLUMN_GAP) text += " | ";
    else if (end !== undefined && gap > item.fontSize * 0.15 && !text.endsWith(" ")) text += " ";
    text += item.str.trimStart() === item.str || text.endsWith(" ") ? item.str.trim() : ` ${item.str.trim()}`;
    end = item.x + item.width;
  }
  return text;
}

/** The size that most characters are set in. */
function usualSize(items: readonly TextItem[]): number {
  const characters = new Map<number, number>();
  for (const { fontSize, str } of items) {
    const size = Math.round(fontSize * 2) / 2;
    characters.set(size, (characters.get(size) ?? 0) + str.length);
  }
  return [...characters].sort((a, b) => b[1] - a[1])[0]?.[0] ?? 10;
}
