import type { Layout } from "./layout.ts";

/** Endings of company names in the countries that the processor's users do business with. */
const COMPANY_FORM = String.raw`(?:GmbH(?: & Co\.? KG)?|AG|SE|KG|OHG|UG|e\.\s?K\.|e\.\s?V\.|Ltd\.?|Limited|LLC|L\.L\.C\.|LLP|Inc\.?|Incorporated|Corp\.?|Corporation|plc|PLC|Pty|S\.?A\.?S\.?|S\.?A\.?R\.?L\.?|Sàrl|SA|S\.A\.|S\.?r\.?l\.?|S\.?p\.?A\.?|S\.L\.|SL|B\.?V\.?|N\.?V\.?|AB|ApS|A\/S|AS|Oyj?|Sp\. z o\.o\.|s\.r\.o\.|Kft\.?|d\.o\.o\.|Co\.)`;
const NAME_WORD = String.raw`(?:\p{Lu}[\p{L}\d'’.&-]{0,40}|\d\p{L}{0,20}|&|\+|und|and|et|of|the|de|du|des|les|le|la|di|del|da|do|van|der)`;
/** At most eight words before the legal form: the bound keeps the search linear on text of nothing but capitals. */
const COMPANY = new RegExp(
  String.raw`(?<![\p{L}\d])(${NAME_WORD}(?:,?\s${NAME_WORD}){0,7}?,?\s${COMPANY_FORM}(?:\s${COMPANY_FORM})?)(?![\p{L}\d])`,
  "gu",
);

const NOT_A_NAME =
  /^(?:invoice|receipt|date|page|tel|phone|fax|e-?mail|www|http|iban|bic|vat|tax|no\b|nr\b|number|rechnung|facture|factura|fattura|quittung|kassenbon|to\b|from\b|bill|ship|due|total|amount|terms|po\b|order|reference|subject|betreff|attn|attention|original|copy|duplicate|thank you|willkommen|welcome)/i;

/** Company names of a text, in order, each once. Recognised by their legal form. */
export function findCompanies(text: string): string[] {
  const names = [...text.matchAll(COMPANY)]
    .map((match) => tidyName(match[1] ?? ""))
    .filter((name) => !NOT_A_NAME.test(name));
  return [...new Set(names)];
}

/** A candidate as the name of a party: without its address, and only when it can be a name at all. */
export function acceptName(candidate: string): string | undefined {
  const cut = candidate.split(/\s*(?:\||;|\n|\(|(?:VAT|Tax|USt)\b)\s*/)[0] ?? "";
  const name = tidyName(findCompanies(cut)[0] ?? cut.split(/,\s*(?=.*\d)/)[0] ?? "");
  const isName = /\p{L}{2}/u.test(name) && name.length <= 80 && !NOT_A_NAME.test(name) && !/:$|@|\d{4,}/.test(name);
  return isName ? name : undefined;
}

/**
 * The name at the head of a letter or bill: the first company among the first lines that is not `other`, else the first
 * line that can be a name.
 */
export function findLetterhead(layout: Layout, other: string | undefined): string | undefined {
  const head = layout.lines.slice(0, 12).flatMap((line) => line.cells);
  const company = head.flatMap((cell) => findCompanies(cell)).find((name) => name !== other);
  if (company !== undefined) return company;
  const anywhere = findCompanies(layout.text).find((name) => name !== other);
  const isName = (cell: string) => !/[:\d]/.test(cell) && cell !== other && acceptName(cell) !== undefined;
  return head.slice(0, 4).find(isName) ?? anywhere ?? head.find(isName);
}

function tidyName(name: string): string {
  return name
    .replace(/^(?:and|und|et|of|the|de|between|zwischen)\s+/, "")
    .replace(/^[\s:,.–-]+|[\s:,–-]+$/g, "")
    .replace(/\s+/g, " ");
}
