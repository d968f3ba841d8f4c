import type { DocumentType } from "../state.ts";

/** The types that have signs. */
export type Known = Exclude<DocumentType, "unknown">;

/** A sign that a document is of a type: worth `weight` once, twice that among the first lines when `isTitle`. */
interface Sign {
  readonly type: Known;
  readonly weight: number;
  readonly pattern: RegExp;
  readonly isTitle?: boolean;
}

/** Words and layouts that speak for a type, in the languages that the processor reads. */
export const SIGNS: readonly Sign[] = [
  {
    type: "invoice",
    weight: 3,
    isTitle: true,
    pattern: /\b(?:tax )?invoice\b|\brechnung\b|\bfacture\b|\bfactura\b|\bfattura\b|\bfactuur\b/i,
  },
  {
    type: "invoice",
    weight: 2,
    pattern: /\b(?:invoice|rechnungs?|facture)[\s-]*(?:no|nr|number|nummer|n°|#|date|datum)/i,
  },
  {
    type: "invoice",
    weight: 2,
    pattern:
      /\b(?:bill(?:ed)? to|invoice to|sold to|rechnungsempfänger|facturé à|amount due|balance due|total due|due date|payment terms|net \d{2} days|fällig|zahlbar|échéance)\b/i,
  },
  { type: "invoice", weight: 1.5, pattern: /\bIBAN\b|\b(?:account|sort code|bank(?:verbindung)?|bank details)\b/i },
  { type: "invoice", weight: 1, pattern: /\b(?:sub-?total|vat|mwst|ust|tva|net amount|unit price|einzelpreis)\b/i },
  {
    type: "receipt",
    weight: 3,
    isTitle: true,
    pattern:
      /\breceipt\b|\bquittung\b|\bkassenbon\b|\bbon\b|\bticket de caisse\b|\breçu\b|\brecibo\b|\bscontrino\b|\bkassabon\b/i,
  },
  {
    type: "receipt",
    weight: 2,
    pattern: /\b(?:change(?: due)?|cash(?:ier)?|tendered|rückgeld|bar gegeben|gegeben|till|terminal|register|kasse)\b/i,
  },
  {
    type: "receipt",
    weight: 2,
    pattern:
      /\b(?:visa|mastercard|maestro|amex|girocard|debit card|card payment|contactless|\bCB\b|carte bancaire|kartenzahlung|auth(?:orisation)? code|approved)\b|\*{4,}\s?\d{4}|x{4,}\s?\d{4}/i,
  },
  {
    type: "receipt",
    weight: 1.5,
    pattern:
      /\bthank(?:s| you) for (?:your (?:purchase|visit|business)|shopping|visiting)|vielen dank für ihren (?:einkauf|besuch)|merci de votre visite/i,
  },
  { type: "receipt", weight: 0.75, pattern: /^[^\w\n]*(?:total|summe|totaal|totale)\b/im },
  { type: "receipt", weight: 1, pattern: /\b(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?\b/ },
  {
    type: "contract",
    weight: 3,
    isTitle: true,
    pattern: /\b(?:agreement|contract|vertrag|contrat|contrato|lease)\b|vertrag\b/i,
  },
  {
    type: "contract",
    weight: 2,
    pattern:
      /\b(?:by and between|hereinafter|hereto|hereby|whereas|in witness whereof|the parties agree|nachstehend|nachfolgend|zwischen)\b/i,
  },
  {
    type: "contract",
    weight: 2,
    pattern:
      /\b(?:governing law|governed by|jurisdiction|gerichtsstand|force majeure|severability|indemnif\w+|confidentiality|liability|haftung)\b/i,
  },
  {
    type: "contract",
    weight: 1.5,
    pattern:
      /\b(?:terminat(?:e|ion)|notice period|written notice|term of this|kündigung\w*|laufzeit|effective date)\b/i,
  },
  {
    type: "contract",
    weight: 1,
    pattern: /\b(?:signature|signed by|signed for|unterschrift|party|parties|clause|§\s?\d)\b/i,
  },
  {
    type: "letter",
    weight: 3,
    pattern:
      /^[ \t]*(?:dear\b|to whom it may concern|sehr geehrte|madame,|monsieur,|cher |chère |estimad[oa]|gentile |geachte |beste )/im,
  },
  {
    type: "letter",
    weight: 3,
    pattern:
      /^[ \t]*(?:yours (?:sincerely|faithfully|truly)|sincerely|(?:kind|best|warm) regards|mit freundlichen grüßen|freundliche grüsse|hochachtungsvoll|cordialement|atentamente|cordiali saluti|met vriendelijke groet)/im,
  },
  { type: "letter", weight: 1, pattern: /^[ \t]*(?:subject|re|betreff|objet|asunto)\s*:/im },
  {
    type: "letter",
    weight: 0.5,
    pattern:
      /\b(?:i am writing|we are writing|thank you for your letter|i look forward|please find enclosed|enclos(?:ed|ure))\b/i,
  },
  {
    type: "report",
    weight: 3,
    isTitle: true,
    pattern: /\breport\b|\bbericht\b|\brapport\b|\binforme\b|\brelazione\b|\breview\b|\bstudy\b|bericht\b/i,
  },
  {
    type: "report",
    weight: 2,
    pattern:
      /\b(?:executive summary|findings|methodology|recommendations?|conclusions?|zusammenfassung|fazit|ergebnisse)\b/i,
  },
  {
    type: "report",
    weight: 1.5,
    pattern:
      /\b(?:introduction|background|analysis|results|overview|outlook|appendix|figure \d|table \d|key figures|highlights)\b/i,
  },
  {
    type: "report",
    weight: 1.5,
    pattern:
      /\b(?:prepared by|author|reporting period|quarter|Q[1-4] 20\d\d|year[- ]on[- ]year|compared (?:to|with))\b/i,
  },
  { type: "report", weight: 1, pattern: /^# .+$[\s\S]*?^# .+$[\s\S]*?^# ./m },
];
