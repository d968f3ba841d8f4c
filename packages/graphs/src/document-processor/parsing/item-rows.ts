import { parseAmount, toCents } from "./amounts.ts";
import type { Layout, Line } from "./layout.ts";
import type { Column } from "./table-headings.ts";

/** One row of an invoice or receipt. `amount` is the row's total; the other numbers only where the document has them. */
export interface LineItem {
  description: string;
  quantity?: number;
  unit_price?: number;
  amount: number;
}

const CURRENCY = String.raw`(?:[A-Z]{2,3}\s?\$|[€$£¥]|\b(?:EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|CAD|AUD)\b|\bS?Fr\.)`;
const UNIT_WORD = String.raw`(?:x|×|@|=|lbs?|oz|pcs?\.?|pieces?|ea\.?|h|hrs?\.?|hours?|days?|d|kg|g|l|m|km|m²|stk\.?|stück|std\.?|tage?|units?|psch\.?|licen[cs]es?|months?|monate?)`;
const NUMERIC = new RegExp(
  String.raw`^(?:${CURRENCY}\s?)?[(-]?\s?(?:${CURRENCY}\s?)?\d[\d.,'’\u202f ]*(?:[.,][-–—]+)?\)?-?\s?(?:${CURRENCY})?(?:\s?${UNIT_WORD}|\s?/\s?${UNIT_WORD})?\s?[A-Z*]?$`,
  "i",
);
const MONEY_END = /\d[.,](?:\d{2}|[-–—]+)\)?-?\s*(?:[€$£¥]|[A-Z]{3})?\s?[A-Z*]?$/;
/** "10 x $95.00", "2.1 lb @ 0.59": a quantity and a unit price in one cell. */
const PRODUCT = new RegExp(
  String.raw`\s*(?<![\w.,])(\d+(?:[.,]\d+)?)\s?(?:${UNIT_WORD}\s?)?(?:x|×|@|à)\s?((?:${CURRENCY})\s?\d[\d.,'’]*|\d[\d.,'’]*[.,]\d{2})\s*=?\s*$`,
  "i",
);

/** Reads a line as a row of the table under `heading`; undefined when it is no row. */
export function readRow(line: Line, heading: readonly Column[] | undefined, layout: Layout): LineItem | undefined {
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
 * product it is are quantity and unit price. "10 x 95.00" says so itself and is believed even when it does not fit.
 */
function readByShape(cells: readonly string[], layout: Layout): LineItem | undefined {
  const words = cells.filter((cell) => !NUMERIC.test(cell) && !/^\d+(?:[.,]\d+)?\s?%$/.test(cell));
  const stated = words.map((cell) => PRODUCT.exec(cell)).find((match) => match !== null);
  const description = (words.toSorted((a, b) => letters(b) - letters(a))[0] ?? "").replace(PRODUCT, "");
  const numbers = cells.filter((cell) => NUMERIC.test(cell)).flatMap((cell) => parseCell(cell, layout) ?? []);
  const amount = numbers.at(-1);
  if (amount === undefined) return undefined;
  if (stated !== undefined) {
    const [, quantity = "", price = ""] = stated;
    return lineItem(description, parseAmount(quantity, "point"), parseAmount(price, layout.decimalMark), amount);
  }
  const leading = /^(\d+(?:[.,]\d+)?)\s?[x×]\s+(?=\p{L})/u.exec(description);
  const rest =
    leading === null ? numbers.slice(0, -1) : [Number(leading[1]?.replace(",", ".")), ...numbers.slice(0, -1)];
  const [quantity, unitPrice] = factorsOf(amount, rest) ?? [leading === null ? undefined : rest[0], undefined];
  return lineItem(description.slice(leading?.[0].length ?? 0), quantity, unitPrice, amount);
}

function letters(text: string): number {
  return text.match(/\p{L}/gu)?.length ?? 0;
}

/** Quantity and price; a whole number beside a fraction is the quantity, whichever comes first. */
function factorsOf(amount: number, numbers: readonly number[]): [number, number] | undefined {
  for (const [at, first] of numbers.entries()) {
    const second = numbers.slice(at + 1).find((other) => Math.abs(first * other - amount) < 0.015);
    if (second === undefined) continue;
    return Number.isInteger(second) && !Number.isInteger(first) ? [second, first] : [first, second];
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
