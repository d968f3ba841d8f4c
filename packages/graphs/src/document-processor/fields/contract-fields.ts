import { findAmounts } from "../parsing/amounts.ts";
import { findCurrency } from "../parsing/currencies.ts";
import { findDates, parseDate } from "../parsing/dates.ts";
import type { Layout } from "../parsing/layout.ts";
import { acceptName, findCompanies } from "../parsing/parties.ts";
import type { Fields } from "../state.ts";
import { findTitle } from "./title.ts";
import { withoutUndefined } from "./without-undefined.ts";

const START =
  /\b(?:effective (?:as of|from|date|on)?|effective date|with effect from|commenc(?:es|ing|ement)(?: date)?(?: on)?|enters? into force(?: on| as of)?|starting on|begins? on|shall begin on|takes effect on|beginnt am|in kraft ab|tritt am|mit wirkung (?:vom|zum)|prend effet le|à compter du)\b/i;
const END =
  /\b(?:until|expir(?:es|y|ing|ation)(?: date)?(?: on)?|end(?:s|ing)? (?:on|date)|through|terminat(?:es|ion date)(?: on)?|endet am|bis zum|befristet bis|jusqu[’']au|hasta el)\b/i;
const SIGNED =
  /\b(?:made (?:and entered into )?(?:on|as of|this)|entered into (?:on|as of|this)|dated|signed on|date of (?:this )?agreement|geschlossen am|vom|fait (?:à .{2,30},? )?le)\b/i;

const NUMBER_WORDS = "one two three four five six seven eight nine ten eleven twelve".split(" ");
const GERMAN_NUMBER_WORDS = "einem? zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split(" ");
const COUNTRY_OF_GERMAN_LAW: Readonly<Record<string, string>> = { d: "Germany", ö: "Austria", s: "Switzerland" };

/** Fields of a contract: who, from when to when, under which law, for how much. Absent when not found. */
export function extractContract(layout: Layout): Fields {
  const text = layout.text.replace(/\n(?!\n)/g, " ");
  const signed = dateAfter(text, SIGNED, layout);
  const value = findValue(text, layout);
  return withoutUndefined({
    title: findTitle(layout),
    parties: findParties(text, layout.text),
    signed_date: signed,
    effective_date: dateAfter(text, START, layout) ?? signed ?? findDates(text, layout.dayOrder)[0],
    end_date: dateAfter(text, END, layout),
    term_months: findTermMonths(text),
    notice_days: findNoticeDays(text),
    governing_law: findLaw(text),
    value,
    currency: value === undefined ? undefined : layout.currency,
  });
}

/** The parties after "between", or in a list of "(1) …" or "Party A: …"; else every company that is named. */
function findParties(text: string, lines: string): string[] {
  const opening =
    /\b(?:between|zwischen|entre)\b([\s\S]{5,900}?)(?:\b(?:whereas|now,? therefore|recitals?|background|wird folgender|the parties agree|it is agreed|1\.\s)|$)/i.exec(
      text,
    )?.[1] ?? "";
  const companies = findCompanies(opening);
  if (companies.length >= 2) return companies.slice(0, 6);
  const split = opening
    .split(/\n\n|\s(?:and|und|et)\s(?=\(?\d?\)?\s*\p{Lu})|(?=\(\d\))/u)
    .flatMap((part) => acceptParty(part) ?? []);
  if (split.length >= 2) return [...new Set(split)].slice(0, 6);
  const labelled = [
    ...lines.matchAll(
      /(?:^|\n)\s*(?:party [ab12]|client|customer|supplier|provider|contractor|landlord|tenant|employer|employee|licensor|licensee|lender|borrower|buyer|seller|auftraggeber|auftragnehmer|vermieter|mieter)\s*(?:\([^)]*\))?\s*[:|]\s*([^\n|]+)/gi,
    ),
  ];
  const named = labelled.flatMap((match) => acceptName(match[1] ?? "") ?? []);
  return named.length >= 2 ? [...new Set(named)].slice(0, 6) : findCompanies(text).slice(0, 4);
}

function acceptParty(part: string): string | undefined {
  const name =
    part
      .replace(/^[\s,.:]*(?:\(?\d\)?[.)]?\s*)?/, "")
      .split(/,|\(|\s(?:of|with|residing|located|represented|hereinafter|a company|whose)\s/)[0] ?? "";
  return /^\p{Lu}/u.test(name) ? acceptName(name) : undefined;
}

/** The first date within a sentence's reach of the words; ordinals such as "12th day of March 2025" included. */
function dateAfter(text: string, words: RegExp, { dayOrder }: Layout): string | undefined {
  for (const match of text.matchAll(new RegExp(words.source, "gi"))) {
    const after = text.slice(match.index + match[0].length, match.index + match[0].length + 60);
    const date = parseDate(after.split(/\n\n/)[0] ?? "", dayOrder);
    if (date !== undefined) return date;
  }
  return undefined;
}

function findTermMonths(text: string): number | undefined {
  const match =
    /\b(?:term|period|duration|laufzeit|dauer|durée)\b[^.]{0,80}?\b(?:(\d{1,3})|([a-z]+))\s*(?:\((\w+)\)\s*)?-?\s*(months?|years?|monate?n?|jahre?n?|mois|ans?)\b/i.exec(
      text,
    );
  if (match === null) return undefined;
  const count = toNumber(match[1] ?? match[3] ?? match[2]) ?? toNumber(match[2]);
  return count === undefined ? undefined : /^(?:y|j|an)/i.test(match[4] ?? "") ? count * 12 : count;
}

function findNoticeDays(text: string): number | undefined {
  const match =
    /\b(\d{1,3}|[a-z]+)\s*(?:\((\w+)\)\s*)?(days?|weeks?|months?)[’']?s?[’']?\s+(?:prior\s+)?(?:written\s+)?notice\b/i.exec(
      text,
    ) ??
    /\bnotice (?:period )?of (?:at least )?(\d{1,3}|[a-z]+)\s*(?:\((\w+)\)\s*)?(days?|weeks?|months?)/i.exec(text) ??
    /kündigungsfrist (?:von |beträgt )?(\d{1,3}|\p{L}+)()\s*(tage?n?|wochen?|monate?n?)/iu.exec(text);
  const count = toNumber(match?.[2]) ?? toNumber(match?.[1]);
  if (count === undefined) return undefined;
  const unit = match?.[3]?.[0]?.toLowerCase();
  return unit === "m" ? count * 30 : unit === "w" ? count * 7 : count;
}

function toNumber(word: string | undefined): number | undefined {
  if (word === undefined || word === "") return undefined;
  if (/^\d+$/.test(word)) return Number(word);
  const small =
    NUMBER_WORDS.indexOf(word.toLowerCase()) + 1 ||
    GERMAN_NUMBER_WORDS.findIndex((german) => new RegExp(`^${german}$`, "i").test(word)) + 1;
  const tens: Readonly<Record<string, number>> = {
    fifteen: 15,
    eighteen: 18,
    twenty: 20,
    "twenty-four": 24,
    thirty: 30,
    "thirty-six": 36,
    sixty: 60,
    ninety: 90,
  };
  return small > 0 ? small : tens[word.toLowerCase()];
}

function findLaw(text: string): string | undefined {
  const match =
    /\b(?:governed by|construed (?:in accordance with|under)|subject to)\b[^.]{0,60}?\blaws? of (?:the )?([A-Z][\p{L} ]+?)(?=[.,;\n]|\s(?:without|and the|excluding|shall|which)\b|$)/u.exec(
      text,
    ) ??
    /\b(?:governed by|subject to)\s+(?:the )?(\p{Lu}\p{L}+) law\b/u.exec(text) ??
    /\bgoverning law\s*[:|]\s*(?:the )?(?:laws? of )?(?:the )?([A-Z][\p{L} ]+?)(?=[.,;\n]|$)/iu.exec(text);
  if (match !== null) return match[1]?.trim();
  const german =
    /\b(?:gilt|unterliegt)\s+(?:dem\s+)?(?:ausschließlich\s+)?(?:das\s+)?(deutsch|österreich|schweiz)\p{L}*\s+recht/iu.exec(
      text,
    )?.[1];
  return german === undefined ? undefined : COUNTRY_OF_GERMAN_LAW[german[0]?.toLowerCase() ?? ""];
}

/** The amount nearest behind a word for the price; else the largest amount that carries a currency. */
function findValue(text: string, { decimalMark }: Layout): number | undefined {
  const priced =
    /\b(?:fee|fees|price|compensation|remuneration|salary|rent|sum|amount|consideration|vergütung|preis|miete|honorar|prix|redevance)\b[^.]{0,80}?((?:[€$£]|\b(?:EUR|USD|GBP|CHF)\b)\s?[\d.,'’ ]*\d|\d[\d.,'’ ]*\s?(?:[€$£]|(?:EUR|USD|GBP|CHF|euros?|dollars?|pounds?)\b))/i.exec(
      text,
    )?.[1];
  if (priced !== undefined) return findAmounts(priced, decimalMark, true)[0];
  const amounts =
    text.match(/(?:[€$£]|\b(?:EUR|USD|GBP|CHF)\b)\s?\d[\d.,'’]*\d|\d[\d.,'’]*\d\s?(?:[€$£]|(?:EUR|USD|GBP|CHF)\b)/g) ??
    [];
  const values = amounts
    .filter((part) => findCurrency(part) !== undefined)
    .flatMap((part) => findAmounts(part, decimalMark, true));
  return values.length === 0 ? undefined : Math.max(...values);
}
