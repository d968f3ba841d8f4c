/** How a document writes `03/12/2025`: day first (most of the world) or month first (the United States). */
export type DayOrder = "day-first" | "month-first";

/** English, German, French, Spanish, Italian, Dutch and Portuguese; matched by prefix of at least three letters. */
const MONTHS: readonly (readonly string[])[] = [
  ["january", "januar", "jänner", "janvier", "enero", "gennaio", "januari", "janeiro"],
  ["february", "februar", "février", "fevrier", "febrero", "febbraio", "februari", "fevereiro"],
  ["march", "märz", "maerz", "mrz", "mars", "marzo", "maart", "mrt", "março"],
  ["april", "avril", "abril", "aprile"],
  ["may", "mai", "mayo", "maggio", "mei", "maio"],
  ["june", "juni", "juin", "junio", "giugno", "junho"],
  ["july", "juli", "juillet", "julio", "luglio", "julho"],
  ["august", "août", "aout", "agosto", "augustus"],
  ["september", "septembre", "septiembre", "settembre", "setembro"],
  ["october", "oktober", "octobre", "octubre", "ottobre", "outubro"],
  ["november", "novembre", "noviembre", "novembro"],
  ["december", "dezember", "décembre", "decembre", "diciembre", "dicembre", "dezembro"],
];

const YEAR = String.raw`(?:'?\d{2}|(?:19|20)\d{2})`;
const WORD = String.raw`\p{L}{3,10}`;
const FORMS: readonly (readonly [RegExp, (parts: string[], order: DayOrder) => Day | undefined])[] = [
  [/(?<!\d)((?:19|20)\d{2})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)/u, ([y, m, d]) => day(y, m, d)],
  [/(?<!\d)((?:19|20)\d{2})年\s?(\d{1,2})月\s?(\d{1,2})日/u, ([y, m, d]) => day(y, m, d)],
  [
    new RegExp(
      String.raw`(?<!\d)(\d{1,2})(?:st|nd|rd|th|er|º|\.)?(?:\s+day)?(?:\s+(?:of|de))?[\s-]+(${WORD})\.?,?(?:\s+de)?[\s-]+(${YEAR})(?!\d)`,
      "iu",
    ),
    ([d, word, y]) => day(y, monthNumber(word), d),
  ],
  [
    new RegExp(String.raw`(?<!\p{L})(${WORD})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+((?:19|20)\d{2})(?!\d)`, "iu"),
    ([word, d, y]) => day(y, monthNumber(word), d),
  ],
  [/(?<![\d.])(\d{1,2})\.\s?(\d{1,2})\.\s?((?:19|20)\d{2}|\d{2})(?![\d.]*\d)/u, ([d, m, y]) => day(y, m, d)],
  [
    /(?<![\d/-])(\d{1,2})([/-])(\d{1,2})\2((?:19|20)\d{2}|\d{2})(?![\d/-])/u,
    ([a, , b, y], order) => byOrder(y, a, b, order),
  ],
];

interface Day {
  readonly year: number;
  readonly month: number;
  readonly dayOfMonth: number;
}

/**
 * The first calendar date in a text as `YYYY-MM-DD`; undefined when there is none that exists (31 February does not).
 * An order that cannot be (`25/03/2025` read month first) gives way to the one that can.
 */
export function parseDate(text: string, order: DayOrder = "day-first"): string | undefined {
  return findDates(text, order)[0];
}

/** All dates of a text as `YYYY-MM-DD`, in the order in which they stand. */
export function findDates(text: string, order: DayOrder = "day-first"): string[] {
  const found: { at: number; end: number; iso: string }[] = [];
  for (const [form, read] of FORMS) {
    for (const match of text.matchAll(new RegExp(form.source, `${form.flags}g`))) {
      const date = read(match.slice(1), order);
      const end = match.index + match[0].length;
      const isTaken = found.some((other) => match.index < other.end && other.at < end);
      if (date !== undefined && !isTaken) found.push({ at: match.index, end, iso: toIso(date) });
    }
  }
  return found.sort((a, b) => a.at - b.at).map(({ iso }) => iso);
}

/**
 * What the document itself says about `03/12/2025`: another slash date with a number above 12 decides, else the
 * currency (USD: month first). `isCertain` is false when neither says anything.
 */
export function dayOrderOf(text: string, currency: string | undefined): { order: DayOrder; isCertain: boolean } {
  for (const match of text.matchAll(/(?<![\d/])(\d{1,2})\/(\d{1,2})\/(?:\d{4}|\d{2})(?![\d/])/g)) {
    if (Number(match[1]) > 12) return { order: "day-first", isCertain: true };
    if (Number(match[2]) > 12) return { order: "month-first", isCertain: true };
  }
  if (currency === undefined) return { order: "day-first", isCertain: false };
  return { order: currency === "USD" ? "month-first" : "day-first", isCertain: true };
}

/** The slash dates of a text that could be read both ways, as written. */
export function ambiguousDates(text: string): string[] {
  return [...text.matchAll(/(?<![\d/])(\d{1,2})\/(\d{1,2})\/(?:\d{4}|\d{2})(?![\d/])/g)]
    .filter(([, a, b]) => Number(a) <= 12 && Number(b) <= 12 && a !== b)
    .map(([whole]) => whole);
}

function byOrder(y: string | undefined, a: string | undefined, b: string | undefined, order: DayOrder) {
  return order === "day-first" ? (day(y, b, a) ?? day(y, a, b)) : (day(y, a, b) ?? day(y, b, a));
}

/** Two-digit years are 2000 to 2069, then 1970 to 1999, as POSIX reads them (with 69 in the new century). */
function day(y: string | undefined, m: string | number | undefined, d: string | undefined): Day | undefined {
  const short = Number(y?.replace("'", ""));
  const year = short >= 100 ? short : short < 70 ? 2000 + short : 1900 + short;
  const date = { year, month: Number(m), dayOfMonth: Number(d) };
  const check = new Date(Date.UTC(date.year, date.month - 1, date.dayOfMonth));
  const exists = check.getUTCMonth() === date.month - 1 && check.getUTCDate() === date.dayOfMonth;
  return exists && date.month >= 1 ? date : undefined;
}

function monthNumber(word: string | undefined): number | undefined {
  const lower = (word ?? "").toLowerCase();
  const at = MONTHS.findIndex(
    (names) => names.some((name) => name.startsWith(lower)) || (lower === "sept" && names[0] === "september"),
  );
  return lower.length < 3 || at === -1 ? undefined : at + 1;
}

function toIso({ year, month, dayOfMonth }: Day): string {
  return `${year}-${String(month).padStart(2, "0")}-${String(dayOfMonth).padStart(2, "0")}`;
}
