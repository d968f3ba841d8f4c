/** Symbols and their codes; longer ones first, so that `US$` is not read as `$` behind a word. */
const SYMBOLS: readonly (readonly [RegExp, string])[] = [
  [/US\s?\$/, "USD"],
  [/(?:CA|C)\$/, "CAD"],
  [/(?:AU|A)\$/, "AUD"],
  [/€/, "EUR"],
  [/£/, "GBP"],
  [/¥/, "JPY"],
  [/₹/, "INR"],
  [/zł/, "PLN"],
  [/\bKč/, "CZK"],
  [/\b(?:S?Fr\.|SFr)\s?(?=\d)/, "CHF"],
  [/\$/, "USD"],
];

const CODES = "EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|HUF|JPY|CNY|CAD|AUD|NZD|INR|BRL|ZAR|SGD|HKD|TRY|RON|BGN|AED|MXN";
const BESIDE_FIGURE = new RegExp(String.raw`\b(${CODES})\b\s?[€$£]?\s?[\d.(-]|\d\s?(${CODES})\b`, "g");
const CODE = new RegExp(String.raw`\b(${CODES})\b`, "g");
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/\beuros?\b/i, "EUR"],
  [/\b(?:us )?dollars?\b/i, "USD"],
  [/\bpounds? sterling\b/i, "GBP"],
  [/\bswiss francs?\b|\bschweizer franken\b/i, "CHF"],
];

/** ISO 4217 code of the currency a text counts in: the code written beside figures most often, else a code, symbol or word. */
export function findCurrency(text: string): string | undefined {
  const beside = mostFrequent([...text.matchAll(BESIDE_FIGURE)].map((match) => match[1] ?? match[2] ?? ""));
  if (beside !== undefined) return beside;
  const symbol = SYMBOLS.find(([pattern]) => pattern.test(text))?.[1];
  if (symbol !== undefined) return symbol;
  return (
    mostFrequent([...text.matchAll(CODE)].map((match) => match[1] ?? "")) ??
    WORDS.find(([pattern]) => pattern.test(text))?.[1]
  );
}

function mostFrequent(words: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}
