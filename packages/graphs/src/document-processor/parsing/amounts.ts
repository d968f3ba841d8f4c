/** Which character separates the fraction in a document: `1.234,56` is "comma", `1,234.56` is "point". */
export type DecimalMark = "comma" | "point";

/** Digits with any of the thousands separators in use (`.`, `,`, `'`, `’`, spaces) and an optional fraction. */
const NUMBER =
  /\d{1,3}(?:[.,'’\u00a0\u202f ]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d{1,3}(?:,\d{2})*,\d{3}(?:\.\d{1,2})?(?!\d)|\d+(?:[.,]\d+)?/;
/** Longer rows of digits are identifiers; beyond sixteen digits a double could not hold them anyway. */
const LONGEST = 20;
const DASH_FRACTION = /[.,](?:-|–|—)+$/;

/**
 * Reads an amount in any common notation as a number in the currency's main unit: `1.234,56`, `1,234.56`,
 * `1'234.50`, `1 234,56`, `(12.00)` and `12.00-` (negative), `50.–`. Undefined when the text holds no number or
 * something that is not a plain amount, such as a date or a percentage.
 *
 * @param mark how the rest of the document writes fractions; decides what `1.234` alone means. Without it a single
 *   separator followed by exactly three digits separates thousands.
 */
export function parseAmount(text: string, mark?: DecimalMark): number | undefined {
  const bare = text
    .replace(/[\u00a0\u202f]/g, " ")
    .replace(/[^\d.,'’()\s–—+-]/g, " ")
    .trim()
    .replace(DASH_FRACTION, "");
  const found = NUMBER.exec(bare);
  if (found === null || found[0].length > LONGEST || /\d/.test(bare.slice(found.index + found[0].length)))
    return undefined;
  const value = readNumber(found[0], mark);
  const before = bare.slice(0, found.index);
  const after = bare.slice(found.index + found[0].length);
  const negative = /[-–—]\s*$/.test(before) || /^\s*-/.test(after) || (before.includes("(") && after.includes(")"));
  return negative ? -value : value;
}

/**
 * Every figure of a line that can be an amount, in order; dates and percentages are none. A plain space between two
 * figures separates them unless `spaceGroups` is set: `2 100.00` may be a quantity and a price.
 */
export function findAmounts(line: string, mark?: DecimalMark, spaceGroups = false): number[] {
  const withoutNoise = line
    .replace(/\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}-\d{2}-\d{2}/g, " ; ")
    .replace(/\d+(?:[.,]\d+)?\s*%/g, " ; ")
    .replace(/(?<![A-Z])[A-Z]{3}(?=[\s\d.(-]|$)/g, " ; ");
  const pattern = spaceGroups ? MONEY_WITH_SPACES : MONEY;
  return [...withoutNoise.matchAll(pattern)].flatMap(([match]) => parseAmount(match, mark) ?? []);
}

const MONEY = money(String.raw`[.,'’\u202f]`);
const MONEY_WITH_SPACES = money(String.raw`[.,'’\u202f ]`);

function money(separator: string): RegExp {
  const figure = String.raw`(?:\d{1,3}(?:${separator}\d{3})+(?:[.,](?:\d{1,2}|[-–—]+))?|\d+[.,](?:\d{1,3}|[-–—]+)|\d+)`;
  return new RegExp(String.raw`(?<![\w.,])(?:\([€$£]?${figure}\)|[-–]?[€$£]?\s?${figure}-?)(?![\w]|[.,]\d)`, "g");
}

/** The fraction mark that the unambiguous amounts of a document use; undefined when none or both occur equally often. */
export function decimalMarkOf(text: string): DecimalMark | undefined {
  const amounts = text.replace(/\d{1,2}\.\d{1,2}\.\d{2,4}/g, " ");
  const comma = amounts.match(/\d,\d{2}(?![\d.,]*\d)/g)?.length ?? 0;
  const point = amounts.match(/\d\.\d{2}(?![\d.,]*\d)/g)?.length ?? 0;
  if (comma === point) return undefined;
  return comma > point ? "comma" : "point";
}

/** Rounds to cents, so that sums of parsed amounts compare as a person would compare them. */
export function toCents(amount: number): number {
  return Math.round((amount + Number.EPSILON * Math.sign(amount)) * 100) / 100;
}

function readNumber(digits: string, mark: DecimalMark | undefined): number {
  const packed = digits.replace(/['’\s]/g, "");
  const fraction = fractionMark(packed, mark);
  if (fraction === undefined) return Number(packed.replace(/[.,]/g, ""));
  const at = packed.lastIndexOf(fraction);
  return Number(`${packed.slice(0, at).replace(/[.,]/g, "")}.${packed.slice(at + 1)}`);
}

/** With both separators the last one is the fraction's; a repeated one separates thousands. */
function fractionMark(packed: string, mark: DecimalMark | undefined): "." | "," | undefined {
  const points = packed.split(".").length - 1;
  const commas = packed.split(",").length - 1;
  if (points > 0 && commas > 0) return packed.lastIndexOf(".") > packed.lastIndexOf(",") ? "." : ",";
  if (points + commas !== 1) return undefined;
  const separator = points === 1 ? "." : ",";
  const [whole = "", rest = ""] = packed.split(separator);
  if (rest.length !== 3 || whole === "0" || whole.length > 3) return separator;
  const isFraction = mark === (separator === "." ? "point" : "comma");
  return isFraction ? separator : undefined;
}
