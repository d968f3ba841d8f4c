/** Total length of an IBAN by country, from the SWIFT registry (countries that businesses commonly meet). */
const LENGTH_BY_COUNTRY: Readonly<Record<string, number>> = {
  AD: 24,
  AE: 23,
  AT: 20,
  BE: 16,
  BG: 22,
  BH: 22,
  BR: 29,
  CH: 21,
  CY: 28,
  CZ: 24,
  DE: 22,
  DK: 18,
  EE: 20,
  EG: 29,
  ES: 24,
  FI: 18,
  FO: 18,
  FR: 27,
  GB: 22,
  GE: 22,
  GI: 23,
  GL: 18,
  GR: 27,
  HR: 21,
  HU: 28,
  IE: 22,
  IL: 23,
  IS: 26,
  IT: 27,
  JO: 30,
  KW: 30,
  KZ: 20,
  LB: 28,
  LI: 21,
  LT: 20,
  LU: 20,
  LV: 21,
  MC: 27,
  MD: 24,
  ME: 22,
  MK: 19,
  MT: 31,
  NL: 18,
  NO: 15,
  PK: 24,
  PL: 28,
  PT: 25,
  QA: 29,
  RO: 24,
  RS: 22,
  SA: 24,
  SE: 24,
  SI: 19,
  SK: 24,
  SM: 27,
  TN: 24,
  TR: 26,
  UA: 29,
  XK: 20,
};

const SHORTEST = 15;
const LONGEST = 34;
const CANDIDATE = /\b[A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]){11,40}/gi;
const LABELLED = /\bIBAN\b[^A-Z0-9]*([A-Z]{2}\d{2}(?:[ \u00a0-]?[A-Z0-9]){4,40})/i;

/** Removes spaces and hyphens and upper-cases: the electronic form of an IBAN. */
export function compactIban(text: string): string {
  return text.replace(/[\s\u00a0-]/g, "").toUpperCase();
}

/** True when the length fits the country and the ISO 7064 mod-97 check digits are right. */
export function isValidIban(text: string): boolean {
  const iban = compactIban(text);
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]+$/.test(iban)) return false;
  const expected = LENGTH_BY_COUNTRY[iban.slice(0, 2)];
  const fits = expected === undefined ? iban.length >= SHORTEST && iban.length <= LONGEST : iban.length === expected;
  return fits && remainderOf97(iban) === 1;
}

/** The two check digits that make an IBAN of this country code and account part (BBAN) valid, such as `"89"`. */
export function ibanCheckDigits(country: string, account: string): string {
  return String(98 - remainderOf97(`${country}00${compactIban(account)}`)).padStart(2, "0");
}

/**
 * The IBAN a text holds, compact: a valid one if there is any, else what stands behind the word "IBAN" so that the
 * validator can name it, else undefined.
 */
export function findIban(text: string): string | undefined {
  for (const [candidate] of text.matchAll(CANDIDATE)) {
    const iban = cutToCountryLength(compactIban(candidate));
    if (isValidIban(iban)) return iban;
  }
  const labelled = LABELLED.exec(text)?.[1];
  return labelled === undefined ? undefined : cutToCountryLength(compactIban(labelled.replace(/\s[A-Z]{3,}.*$/i, "")));
}

/** A match may run on into the next word ("… 00 BIC …"); the country tells where it ends. */
function cutToCountryLength(candidate: string): string {
  return candidate.slice(0, LENGTH_BY_COUNTRY[candidate.slice(0, 2)] ?? LONGEST);
}

/** Letters count as 10..35; taken in pieces because the whole number does not fit a double. */
function remainderOf97(iban: string): number {
  const rearranged = iban.slice(4) + iban.slice(0, 4);
  const digits = rearranged.replace(/[A-Z]/g, (letter) => String(letter.charCodeAt(0) - 55));
  let remainder = 0;
  for (const digit of digits) remainder = (remainder * 10 + Number(digit)) % 97;
  return remainder;
}
