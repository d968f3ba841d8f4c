import { findAmounts, toCents } from "./amounts.ts";
import { beginsWith } from "./begins-with.ts";
import type { Layout, Line } from "./layout.ts";

/** The sums at the end of an invoice or receipt, in the document's currency; only those that it states. */
export interface Totals {
  subtotal?: number;
  discount?: number;
  shipping?: number;
  tip?: number;
  vat_rate?: number;
  vat_amount?: number;
  /** True when the total already contains the VAT and the document merely says how much it is. */
  vat_included?: boolean;
  total?: number;
}

type Kind = "subtotal" | "discount" | "shipping" | "tip" | "vat" | "due" | "total";

const VAT_WORDS =
  "vat|v\\.a\\.t\\.?|mwst|ust|umsatzsteuer|mehrwertsteuer|(?:sales|state) tax|tax(?:es)?|gst|hst|tva|t\\.v\\.a\\.|iva|btw|mva|moms|dph";
const BEFORE_VAT =
  "(?:(?:incl(?:uding|udes|uded|\\.)?|inkl(?:usive|\\.)?|zzgl\\.?|plus|davon|thereof|of which|dont|total|add|estimated)\\s+)*(?:\\d+(?:[.,]\\d+)?\\s?%\\s*)?";
/** "VAT ID", "Tax no." and their like are followed by an identifier. */
const NOT_AN_AMOUNT = "(?![\\s.-]*(?:id|no\\b|nr\\b|number|reg|invoice|rate\\b|point|date|payer|code|receipt))";

/** Tried in this order: "total excl. VAT" is a subtotal and "total VAT" is VAT, though both say total. */
const KINDS: readonly (readonly [Kind, RegExp])[] = [
  [
    "subtotal",
    beginsWith(
      "sub[\\s-]?total",
      "net (?:amount|total|value)",
      "taxable amount",
      "amount (?:excl\\w*|before)",
      "(?:goods|items) total",
      "total (?:net|ht|hors taxes?|excl\\w*\\.?|before|ex\\.?|without)",
      "zwischensumme",
      "nettobetrag",
      "netto(?:summe)?",
      "(?:summe|gesamt) netto",
      "sous[\\s-]?total",
      "base imponible",
      "imponibile",
      "subtotaal",
      "subtotale",
    ),
  ],
  ["discount", beginsWith(".{0,20}\\b(?:discount|rabatt|skonto|remise|descuento|sconto|korting|voucher)")],
  [
    "shipping",
    beginsWith(
      "shipping",
      "delivery (?:charge|fee|cost)s?",
      "postage",
      "freight",
      "carriage",
      "versand\\w*",
      "porto",
      "frais de port",
      "envío",
      "spedizione",
      "verzendkosten",
    ),
  ],
  ["tip", beginsWith("tip", "gratuity", "service charge", "trinkgeld", "pourboire", "propina")],
  ["vat", new RegExp(`${beginsWith(`${BEFORE_VAT}(?:${VAT_WORDS})`).source}${NOT_AN_AMOUNT}`, "iu")],
  [
    "due",
    beginsWith(
      "grand total",
      "total (?:amount )?(?:due|payable|to pay|incl\\w*|ttc|a pagar|with|gross)",
      "please pay",
      "(?:amount|balance|sum) (?:due|payable|to pay|owed)",
      "invoice total",
      "total invoice",
      "gesamtbetrag",
      "gesamtsumme",
      "gesamt(?:preis)?",
      "endbetrag",
      "rechnungsbetrag",
      "rechnungssumme",
      "zahlbetrag",
      "bruttobetrag",
      "brutto",
      "zu zahlen",
      "summe brutto",
      "montant (?:total|ttc|dû)",
      "net à payer",
      "importe total",
      "totale (?:fattura|da pagare|complessivo)",
      "totaal (?:incl|te betalen)\\w*",
      "te betalen",
    ),
  ],
  ["total", beginsWith("total", "totale", "totaal", "summe", "somme", "montant", "amount", "à payer", "to pay")],
];

/** True for a line that begins with the name of a sum and states an amount. */
export function isTotalLine(text: string): boolean {
  return kindOf(text) !== undefined && /\d/.test(text);
}

/** Reads all sums; several VAT lines (one for each rate) are added up, and the strongest name for the total wins. */
export function findTotals(layout: Layout): Totals {
  const totals: Totals = {};
  let totalStrength = 0;
  const rates = new Set<number>();
  let fromTable = 0;
  for (const [at, line] of layout.lines.entries()) {
    const kind = kindOf(line.text) ?? kindOf(line.cells.find((cell) => kindOf(cell) !== undefined) ?? "");
    if (kind === undefined) {
      fromTable = toCents(fromTable + vatTableRow(line, layout));
      continue;
    }
    const amount = amountOf(line, layout.lines[at + 1], layout);
    if (amount === undefined) continue;
    if (kind === "vat") addVat(totals, line, amount, rates);
    else if (kind === "due" || kind === "total") {
      const strength = kind === "due" ? 2 : 1;
      if (strength >= totalStrength) totals.total = amount;
      totalStrength = Math.max(strength, totalStrength);
    } else totals[kind] ??= kind === "discount" ? Math.abs(amount) : amount;
  }
  const [rate] = rates;
  if (totals.vat_amount === undefined && fromTable > 0)
    Object.assign(totals, { vat_amount: fromTable, vat_included: true });
  if (rates.size === 1 && rate !== undefined) totals.vat_rate = rate;
  return totals;
}

function addVat(totals: Totals, line: Line, amount: number, rates: Set<number>): void {
  const rate = rateOf(line.text);
  const isSumOfOthers = /^total/i.test(line.text) && totals.vat_amount !== undefined;
  totals.vat_amount = isSumOfOthers ? amount : toCents((totals.vat_amount ?? 0) + amount);
  if (rate !== undefined) rates.add(rate);
  if (/\b(?:incl\w*|inkl\w*|davon|thereof|of which|dont|enthalten\w*)\b/i.test(line.text)) totals.vat_included = true;
}

/** The VAT in a row of rate, net, VAT and gross, as tills print for each rate; 0 when the line is no such row. */
function vatTableRow(line: Line, { decimalMark }: Layout): number {
  const rate = rateOf(line.text);
  const [a = 0, b = 0, c = 0, ...more] = line.cells.flatMap((cell) => findAmounts(cell, decimalMark));
  if (rate === undefined || more.length > 0) return 0;
  const [vat = 0, net = 0, gross = 0] = [a, b, c].sort((x, y) => x - y);
  const isRow = vat > 0 && Math.abs(vat + net - gross) < 0.011 && Math.abs((net * rate) / 100 - vat) < 0.011;
  return isRow ? vat : 0;
}

function kindOf(text: string): Kind | undefined {
  const start = text.replace(/^[^\p{L}\d]+/u, "");
  return KINDS.find(([, pattern]) => pattern.test(start))?.[0];
}

function rateOf(text: string): number | undefined {
  const digits = /(\d{1,2}(?:[.,]\d{1,2})?)\s?%/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits.replace(",", "."));
}

/**
 * The last amount of the line, or of the next line when this one only names the sum. In a VAT line that also states the
 * amount it is reckoned on, the one that is the rate's share of another.
 */
function amountOf(line: Line, next: Line | undefined, layout: Layout): number | undefined {
  const own = line.cells.flatMap((cell) => findAmounts(cell, layout.decimalMark, true));
  const rate = rateOf(line.text);
  const share =
    rate === undefined
      ? undefined
      : own.find((part) => own.some((base) => base !== part && Math.abs((base * rate) / 100 - part) < 0.015));
  if (share !== undefined) return share;
  if (own.length > 0) return own.at(-1);
  if (next === undefined || line.cells.length > 2 || /\p{L}{4}/u.test(next.text)) return undefined;
  return findAmounts(next.text, layout.decimalMark, true).at(-1);
}
