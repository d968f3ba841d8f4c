import { parseAmount, toCents } from "./amounts.ts";
import { beginsWith } from "./begins-with.ts";
import type { Layout, Line } from "./layout.ts";
import { isTotalLine } from "./totals.ts";

/** One row of an invoice or receipt. `amount` is the row's total; the other numbers only where the document has them. */
export interface LineItem {
  description: string;
  quantity?: number;
  unit_price?: number;
  amount: number;
}

type Column = "position" | "description" | "quantity" | "unit" | "unit_price" | "rate" | "amount";

/** Words of column headings; tried in this order, since "unit price" also begins with "unit". */
const COLUMNS: readonly (readonly [Column, RegExp])[] = [
  [
    "unit_price",
    beginsWith(
      "(?:unit|list|net)?\\s*(?:price|rate|cost)",
      "(?:einzel|stück|e)?-?\\s?preis",
      "prix",
      "p\\.?\\s?u\\.?",
      "precio",
      "prezzo",
      "prijs",
      "tarief",
      "each",
      "stundensatz",
      "à",
    ),
  ],
  ["rate", beginsWith("vat", "tax", "mwst", "ust", "tva", "iva", "btw", "gst", "%")],
  [
    "quantity",
    beginsWith(
      "qty",
      "quantity",
      "units",
      "hours",
      "hrs",
      "days",
      "menge",
      "anzahl",
      "stk",
      "stunden",
      "tage",
      "qté",
      "quantité",
      "cant",
      "cantidad",
      "quantità",
      "q\\.?tà",
      "aantal",
    ),
  ],
  [
    "amount",
    beginsWith(
      "(?:line |net |total )?(?:amount|total|sum)",
      "(?:gesamt|netto)?(?:betrag|summe)",
      "gesamt(?:preis)?",
      "montant",
      "importe",
      "importo",
      "totale",
      "bedrag",
      "totaal",
      "netto?",
    ),
  ],
  [
    "description",
    beginsWith(
      "items?",
      "description",
      "products?",
      "services?",
      "article",
      "details",
      "work",
      "goods",
      "bezeichnung",
      "beschreibung",
      "leistung",
      "artikel",
      "position",
      "désignation",
      "prestation",
      "concepto",
      "descripción",
      "descrizione",
      "omschrijving",
      "dienst",
    ),
  ],
  ["position", beginsWith("pos", "no", "nr", "#", "n°", "line")],
  ["unit", beginsWith("unit", "uom", "einheit", "me", "unité", "unidad")],
];

const CURRENCY = String.raw`(?:[A-Z]{2,3}\s?\$|[€$£¥]|\b(?:EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|CAD|AUD)\b|\bS?Fr\.)`;
const UNIT_WORD = String.raw`(?:x|×|@|=|lbs?|oz|pcs?\.?|pieces?|ea\.?|h|hrs?\.?|hours?|days?|d|kg|g|l|m|km|m²|stk\.?|stück|std\.?|tage?|units?|psch\.?|licen[cs]es?|months?|monate?)`;
const NUMERIC = new RegExp(
  String.raw`^(?:${CURRENCY}\s?)?[(-]?\s?(?:${CURRENCY}\s?)?\d[\d.,'’\u202f ]*(?:[.,][-–—]+)?\)?-?\s?(?:${CURRENCY})?(?:\s?${UNIT_WORD}|\s?/\s?${UNIT_WORD})?\s?[A-Z*]?$`,
  "i",
);
const MONEY_END = /\d[.,](?:\d{2}|[-–—]+)\)?-?\s*(?:[€$£¥]|[A-Z]{3})?\s?[A-Z*]?$/;

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

/** The columns that a line names when it is a table's heading: one column of money and at least one other. */
function columnsOf(line: Line | undefined): Column[] | undefined {
  if (line === undefined || line.text.length > 160 || /\d[.,]\d{2}\b/.test(line.text)) return undefined;
  const words = line.cells.length > 1 ? line.cells : line.text.split(/\s+(?=\S)/);
  const columns = words.map(
    (cell) => COLUMNS.find(([, pattern]) => pattern.test(cell.replace(/^net\s+unit/i, "unit")))?.[0],
  );
  const kinds = new Set(columns.filter((column) => column !== undefined));
  const isHeading =
    (kinds.has("amount") || kinds.has("unit_price")) &&
    (kinds.has("description") || kinds.has("quantity") || kinds.has("position"));
  if (!isHeading || kinds.size < 2) return undefined;
  return columns.map((column) => column ?? "description");
}

function readRow(line: Line, heading: readonly Column[] | undefined, layout: Layout): LineItem | undefined {
  const cells = line.cells.length > 1 ? line.cells.filter((cell) => cell !== "") : splitAtNumbers(line.text);
  if (heading === undefined && !MONEY_END.test(line.text)) return undefined;
  const isAligned = heading !== undefined && line.cells.length === heading.length && line.cells.length > 1;
  return isAligned
    ? (readAligned(line.cells, heading, layout) ?? readByShape(cells, layout))
    : readByShape(cells, layout);
}

function readAligned(cells: readonly string[], heading: readonly Column[], layout: Layout): LineItem | undefined {
  const cellOf = (column: Column) => cells[heading.indexOf(column)];
  const number = (column: Column) => parseCell(cellOf(column) ?? "", layout);
  const description = cellOf("description") ?? cells.find((cell) => /\p{L}{2}/u.test(cell)) ?? "";
  const quantity = number("quantity");
  const unitPrice = number("unit_price");
  const amount = number("amount") ?? (unitPrice === undefined ? undefined : toCents(unitPrice * (quantity ?? 1)));
  return amount === undefined ? undefined : lineItem(description, quantity, unitPrice, amount);
}

/**
 * Without column positions, arithmetic decides: the last number is the row's amount, and the two before it whose
 * product it is are quantity and unit price.
 */
function readByShape(cells: readonly string[], layout: Layout): LineItem | undefined {
  const words = cells.filter((cell) => !NUMERIC.test(cell) && !/^\d+(?:[.,]\d+)?\s?%$/.test(cell));
  const description = words.toSorted((a, b) => b.length - a.length)[0] ?? "";
  const numbers = cells.filter((cell) => NUMERIC.test(cell)).flatMap((cell) => parseCell(cell, layout) ?? []);
  const amount = numbers.at(-1);
  if (amount === undefined) return undefined;
  const leading = /^(\d+(?:[.,]\d+)?)\s?[x×]\s+(?=\p{L})/u.exec(description);
  const rest =
    leading === null ? numbers.slice(0, -1) : [Number(leading[1]?.replace(",", ".")), ...numbers.slice(0, -1)];
  const [quantity, unitPrice] = factorsOf(amount, rest) ?? [leading === null ? undefined : rest[0], undefined];
  return lineItem(description.slice(leading?.[0].length ?? 0), quantity, unitPrice, amount);
}

function factorsOf(amount: number, numbers: readonly number[]): [number, number] | undefined {
  for (const [at, first] of numbers.entries()) {
    const second = numbers.slice(at + 1).find((other) => Math.abs(first * other - amount) < 0.015);
    if (second !== undefined) return [first, second];
  }
  return undefined;
}

function lineItem(description: string, quantity: number | undefined, unitPrice: number | undefined, amount: number) {
  const text = description
    .replace(/^(?:\d{1,3}[.)]|[-•*])\s+/, "")
    .replace(/[\s:.…-]+$/, "")
    .trim();
  if (!/\p{L}{2}/u.test(text)) return undefined;
  return {
    description: text,
    ...(quantity !== undefined && { quantity }),
    ...(unitPrice !== undefined && { unit_price: unitPrice }),
    amount,
  };
}

/** "2 x Coffee 3.50 7.00" in one cell: the figures at its end become cells of their own. */
function splitAtNumbers(text: string): string[] {
  const words = text.replace(/[.…·]{3,}/g, " ").split(/\s+/);
  const isPart = (word: string) =>
    NUMERIC.test(word) || new RegExp(`^(?:${CURRENCY}|${UNIT_WORD}|\\d+%)$`, "i").test(word);
  let at = words.length;
  while (at > 0 && isPart(words[at - 1] ?? "")) at -= 1;
  const position =
    /^\d{1,3}\.?$/.test(words[0] ?? "") && !/^[x×]$/i.test(words[1] ?? "") && at > 1 ? [words[0] ?? ""] : [];
  const description = words.slice(position.length, at).join(" ");
  return [...position, description, ...words.slice(at).filter((word) => NUMERIC.test(word))];
}

function parseCell(cell: string, { decimalMark }: Layout): number | undefined {
  return NUMERIC.test(cell)
    ? parseAmount(cell.replace(new RegExp(`/?\\s?${UNIT_WORD}$`, "i"), ""), decimalMark)
    : undefined;
}
