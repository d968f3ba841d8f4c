import { findDates } from "../parsing/dates.ts";
import { findLabelled } from "../parsing/labels.ts";
import type { Layout } from "../parsing/layout.ts";
import { acceptName } from "../parsing/parties.ts";
import type { Fields } from "../state.ts";
import { findTitle } from "./title.ts";
import { withoutUndefined } from "./without-undefined.ts";

const MAX_SECTIONS = 40;
const MAX_FIGURES = 12;
const PERIOD =
  /\b(?:(?:Q[1-4]|H[12])[\s/-]*(?:FY)?\s?(?:20\d{2})|(?:first|second|third|fourth) quarter(?: of)? 20\d{2}|FY\s?20\d{2}(?:\/\d{2})?|(?:[1-4]\.|erstes|zweites|drittes|viertes) quartal 20\d{2})\b/i;
const SECTION_WORD =
  /^(?:executive summary|summary|introduction|background|overview|scope|method(?:ology|s)?|findings|results|discussion|analysis|recommendations?|conclusions?|outlook|risks|next steps|appendix|references|zusammenfassung|einleitung|ergebnisse|fazit|ausblick)$/i;

/** Fields of a report: what it is about, by whom, for which period, and its outline. Absent when not found. */
export function extractReport(layout: Layout): Fields {
  return withoutUndefined({
    title: findTitle(layout),
    author: findLabelled(
      layout,
      "author(?:\\(s\\)|s)?|prepared by|written by|report by|submitted by|verfasser(?:in)?|autor(?:in)?|erstellt von|auteur|by",
      acceptName,
    ),
    organisation: findLabelled(layout, "organi[sz]ation|company|client|prepared for|department|abteilung", acceptName),
    date: findDates(layout.text.slice(0, 2500), layout.dayOrder)[0],
    period:
      findLabelled(layout, "(?:reporting )?period|zeitraum|berichtszeitraum|période", (text) => text.slice(0, 80)) ??
      PERIOD.exec(layout.text)?.[0],
    sections: findSections(layout),
    key_figures: findFigures(layout.text),
  });
}

function findSections(layout: Layout): string[] {
  const title = findTitle(layout);
  const headings = layout.lines.filter(
    (line) => line.isHeading || SECTION_WORD.test(line.text) || isNumbered(line.text),
  );
  const names = headings.map((line) => line.text.replace(/^\d+(?:\.\d+)*\.?\s+/, "")).filter((name) => name !== title);
  return [...new Set(names)].slice(0, MAX_SECTIONS);
}

function isNumbered(text: string): boolean {
  return /^\d{1,2}(?:\.\d{1,2})*\.?\s+\p{Lu}[^.!?:;,]{2,70}$/u.test(text) && text.split(" ").length <= 9;
}

/** Sentences with a percentage or an amount of money: what a hurried reader looks for. */
function findFigures(text: string): string[] {
  const sentences = text.replace(/(?<=[^\n]{60})\n(?!\n|\s*[*•-] )/g, " ").split(/(?<=[.!?])\s+(?=\p{Lu})|\n+/u);
  return sentences
    .map((sentence) => sentence.replace(/^\s*[*•-]\s+/, "").trim())
    .filter(
      (sentence) =>
        /\d\s?%|[€$£]\s?\d|\d\s?(?:EUR|USD|GBP|CHF|million|percent)\b|\b(?:EUR|USD|GBP|CHF)\s?\d/.test(sentence) &&
        sentence.length <= 240 &&
        !sentence.includes("|"),
    )
    .slice(0, MAX_FIGURES);
}
