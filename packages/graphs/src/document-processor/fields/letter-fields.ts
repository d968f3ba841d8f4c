import { findDates } from "../parsing/dates.ts";
import type { Layout } from "../parsing/layout.ts";
import { acceptName, findCompanies } from "../parsing/parties.ts";
import type { Fields } from "../state.ts";
import { withoutUndefined } from "./without-undefined.ts";

const SALUTATION =
  /^(?:dear|to whom it may concern|sehr geehrte|liebe[r]?\b|guten tag|hallo|hello|hi\b|madame|monsieur|cher|chère|estimad[oa]s?|muy señor|gentile|egregio|spettabile|geachte|beste)/i;
const CLOSING =
  /^(?:yours (?:sincerely|faithfully|truly)|sincerely|(?:kind|best|warm|with kind|with best)?\s*regards|respectfully|with appreciation|many thanks|mit freundlichen grüßen|freundliche grüsse|hochachtungsvoll|herzliche grüße|cordialement|veuillez agréer|bien à vous|atentamente|saludos|distinti saluti|cordiali saluti|met vriendelijke groet|hoogachtend)/i;
const SUBJECT = /^(?:subject|re|betreff|betr\.?|objet|asunto|oggetto|betreft|concerning)\s*[:.]\s*(.+)$/i;

/** Fields of a letter: who writes to whom, when and about what. Absent when not found. */
export function extractLetter(layout: Layout): Fields {
  const lines = layout.lines.map((line) => line.text);
  const salutationAt = lines.findIndex((line) => SALUTATION.test(line));
  const closingAt = lines.findLastIndex((line) => CLOSING.test(line));
  const head = salutationAt === -1 ? layout.lines.slice(0, 12) : layout.lines.slice(0, salutationAt);
  const signature =
    closingAt === -1
      ? undefined
      : lines
          .slice(closingAt + 1)
          .map(acceptName)
          .find(Boolean);
  const addresses = head.flatMap((line) => line.cells).filter((cell) => !SUBJECT.test(cell));
  const letterhead = labelled(addresses, /^(?:from|sender|absender|von|de)\s*:\s*(.+)$/i) ?? firstName(addresses);
  return withoutUndefined({
    sender: letterhead ?? signature,
    signatory: signature,
    recipient:
      labelled(addresses, /^(?:to|recipient|an|à|para|attn\.?)\s*:\s*(.+)$/i) ??
      findRecipient(addresses, letterhead, lines[salutationAt]),
    date:
      findDates(
        layout.lines
          .slice(0, Math.max(salutationAt, 12))
          .map(({ text }) => text)
          .join("\n"),
        layout.dayOrder,
      )[0] ?? findDates(layout.text, layout.dayOrder)[0],
    subject: findSubject(lines, salutationAt),
    salutation: lines[salutationAt]?.replace(/[,:]$/, ""),
    closing: lines[closingAt]?.replace(/,$/, ""),
  });
}

function labelled(cells: readonly string[], label: RegExp): string | undefined {
  return cells.map((cell) => label.exec(cell)?.[1]).find((value) => value !== undefined);
}

function firstName(cells: readonly string[]): string | undefined {
  return cells
    .slice(0, 4)
    .map((cell) => (isAddressLine(cell) ? undefined : acceptName(cell)))
    .find(Boolean);
}

/** The addressee's block is the last one before the salutation: its name repeats there, or a company or a title opens it. */
function findRecipient(
  cells: readonly string[],
  sender: string | undefined,
  salutation: string | undefined,
): string | undefined {
  const surname = /(\p{Lu}[\p{L}'’-]+)\W*$/u.exec(salutation ?? "")?.[1];
  const others = cells.filter((cell) => sender === undefined || !cell.includes(sender));
  const bySurname = surname === undefined ? undefined : others.find((cell) => cell.includes(surname));
  if (bySurname !== undefined) return acceptName(bySurname) ?? bySurname;
  const company = others.flatMap((cell) => findCompanies(cell)).at(-1);
  const addressed =
    salutation === undefined
      ? undefined
      : /^(?:dear|cher|chère|estimad[oa]|gentile|geachte|beste)\s+(.+?)[,:]?$/i.exec(salutation)?.[1];
  return (
    company ??
    others.filter((cell) => /^(?:mr|mrs|ms|dr|prof|herrn?|frau|m\.|mme|sr|sra)\b/i.test(cell)).at(-1) ??
    addressed
  );
}

/** "Subject: …", or the short line that stands alone just before or after the salutation in business letters. */
function findSubject(lines: readonly string[], salutationAt: number): string | undefined {
  const labelledSubject = lines.map((line) => SUBJECT.exec(line)?.[1]).find((value) => value !== undefined);
  if (labelledSubject !== undefined) return labelledSubject;
  const after = lines[salutationAt + 1] ?? "";
  if (salutationAt !== -1 && isSubjectLine(after) && !/[.,;:!?]$/.test(after)) return after;
  const before = lines[salutationAt - 1] ?? "";
  return salutationAt > 3 && isSubjectLine(before) && !isAddressLine(before) ? before : undefined;
}

function isSubjectLine(line: string): boolean {
  const words = line.split(" ").length;
  return (
    words >= 3 && words <= 14 && line.length < 120 && findDates(line).length === 0 && findCompanies(line).length === 0
  );
}

function isAddressLine(line: string): boolean {
  return /\d/.test(line) || /@|www\.|^tel|^phone|street|straße|road|avenue|\bUK$/i.test(line);
}
