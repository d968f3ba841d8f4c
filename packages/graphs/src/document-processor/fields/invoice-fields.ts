import type { Layout } from "../parsing/layout.ts";
import { findDates, parseDate } from "../parsing/dates.ts";
import { findIban } from "../parsing/iban.ts";
import { findLabelled } from "../parsing/labels.ts";
import { findLineItems } from "../parsing/line-items.ts";
import { acceptName, findLetterhead } from "../parsing/parties.ts";
import { findTotals } from "../parsing/totals.ts";
import type { Fields } from "../state.ts";
import { withoutUndefined } from "./without-undefined.ts";

const INVOICE =
  "invoice|inv|tax invoice|bill|rechnungs?|faktura|fakturanummer|facture|fattura|factura|factuur|document|credit note|gutschrifts?";
const NUMBER_WORD = String.raw`(?:no|nr|number|num|nummer|numéro|numero|número|id|ref|reference|code)\.?|n[°ºo.]{1,2}|#|№`;
const NUMBER_LABEL = String.raw`(?:${INVOICE})[\s-]*(?:de\s+|di\s+)?(?:${NUMBER_WORD})|rechnungsnummer|rechnungsnr\.?|factuurnummer|belegnummer|(?:${NUMBER_WORD})\s+(?:de\s+)?(?:${INVOICE})`;

const SELLER =
  "from|seller|supplier|vendor|issued by|issuer|provider|service provider|verkäufer|lieferant|rechnungssteller|leistungserbringer|fournisseur|émetteur|vendeur|vendedor|proveedor|emisor|fornitore|cedente|leverancier|beneficiary|account (?:holder|name)|kontoinhaber";
const BUYER =
  "bill(?:ed)? to|invoice(?:d)? to|sold to|customer|client|buyer|purchaser|recipient|attention of|rechnungsempfänger|rechnung an|rechnungsadresse|kunde|käufer|empfänger|an|facturé à|adressé à|destinataire|acheteur|cliente|facturar a|comprador|destinatario|klant|aan|spett\\.?le|afnemer|billing address|to";

/** Fields of an invoice: numbers and dates, parties, rows, sums and where to pay. Absent when not found. */
export function extractInvoice(layout: Layout): Fields {
  const date = (candidate: string) => parseDate(candidate, layout.dayOrder);
  const buyer = findLabelled(layout, BUYER, acceptName);
  const dueDate = findLabelled(layout, DUE_DATE, date);
  return withoutUndefined({
    invoice_number: findInvoiceNumber(layout),
    order_number: findLabelled(
      layout,
      String.raw`(?:purchase\s+)?order\s*(?:${NUMBER_WORD})|p\.?o\.?\s*(?:${NUMBER_WORD})|bestellnummer|bestell-?nr\.?|your order`,
      acceptId,
    ),
    issue_date: findIssueDate(layout, dueDate),
    due_date: dueDate,
    payment_terms_days: findTermsDays(layout.text),
    seller: findSeller(layout, buyer),
    buyer,
    currency: layout.currency,
    line_items: findLineItems(layout).map((item) => ({ ...item })),
    ...findTotals(layout),
    iban: findIban(layout.text),
    bic: /\b(?:BIC|SWIFT)(?:[\s/-]*(?:BIC|SWIFT|code))*[^A-Z0-9]*([A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?)\b/.exec(
      layout.text,
    )?.[1],
    vat_id: findVatId(layout.text),
  });
}

const ISSUE_DATE =
  "(?:tax )?invoice date|inv\\.? date|date of (?:issue|invoice)|date issued|issue date|issued(?: on)?|billing date|bill date|dated|document date|rechnungsdatum|ausstellungsdatum|ausgestellt am|belegdatum|date de (?:la )?facture|date d[’']émission|facture du|émise? le|fecha de (?:emisión|factura|la factura)|data (?:fattura|di emissione|emissione|documento)|factuurdatum";
const DUE_DATE =
  "due date|date due|payment (?:is )?due(?: date)?(?: on| by)?|due(?: on| by)?|pay(?:able|ment)?(?: by| before| until)|please pay (?:by|before)|fällig(?: am| bis)?|fälligkeit(?:sdatum)?|zahlbar bis(?: zum)?|zahlungsziel|à régler avant(?: le)?|(?:date d[’'])?échéance|fecha de vencimiento|vencimiento|scadenza|data scadenza|vervaldatum|uiterste betaaldatum";

function findIssueDate(layout: Layout, dueDate: string | undefined): string | undefined {
  const date = (candidate: string) => parseDate(candidate, layout.dayOrder);
  const labelled = findLabelled(layout, ISSUE_DATE, date) ?? findLabelled(layout, "date|datum|fecha|data", date);
  if (labelled !== undefined) return labelled;
  const dates = findDates(layout.text, layout.dayOrder);
  return dates.find((found) => found !== dueDate) ?? dates[0];
}

function findInvoiceNumber(layout: Layout): string | undefined {
  return (
    findLabelled(layout, NUMBER_LABEL, acceptId) ??
    findLabelled(layout, INVOICE, acceptId) ??
    findLabelled(layout, NUMBER_WORD, acceptId) ??
    /\b(?:INV|RE|RG|RN|FA|FV|FT)[-_/]?\d[\w/-]*/.exec(layout.text)?.[0]
  );
}

/** Begins with the identifier, which has a digit and is no date; "INV 2025 001" may have spaces inside. */
export function acceptId(candidate: string): string | undefined {
  const match = /^(?:no\.?|nr\.?|number|n°|#|:|\s)*([A-Z]{1,5}[ ]\d[\w/.-]*|(?=[\w/.-]*\d)[A-Z0-9][\w/.-]*)/i.exec(
    candidate,
  );
  const id = match?.[1]?.replace(/[.,/-]+$/, "");
  const isDay = /^\d{1,2}$/.test(id ?? "") && parseDate(candidate.slice(0, 25)) !== undefined;
  const isDate = isDay || parseDate(id ?? "") !== undefined;
  const isAmount = id !== undefined && /^\d+[.,]\d{2}$/.test(id);
  return isDate || isAmount || /^\d{1,2}(?:st|nd|rd|th)$/i.test(id ?? "") ? undefined : id;
}

/** The seller is who writes: a label says so, or the letterhead does. */
function findSeller(layout: Layout, buyer: string | undefined): string | undefined {
  const labelled = findLabelled(layout, SELLER, acceptName);
  return labelled !== undefined && labelled !== buyer ? labelled : findLetterhead(layout, buyer);
}

function findTermsDays(text: string): number | undefined {
  const match =
    /\bnet\s?(\d{1,3})\b(?!\s?%)|\bwithin\s+(\d{1,3})\s+(?:calendar\s+|business\s+)?days|\b(\d{1,3})\s+days(?:\s+net|\s+from|\s+after|\s+of)|innerhalb\s+(?:von\s+)?(\d{1,3})\s+tagen|(\d{1,3})\s+tage\s+netto|à\s+(\d{1,3})\s+jours/i.exec(
      text,
    );
  const days = match?.slice(1).find((group) => group !== undefined);
  return days === undefined ? undefined : Number(days);
}

function findVatId(text: string): string | undefined {
  const labelled =
    /(?:VAT|USt-?Id|UID|TVA|IVA|BTW|MWST|Tax)[\s.-]*(?:reg(?:istration)?\.?\s*)?(?:ID|Nr|No|number|identification|intracommunautaire|nummer|IdNr|nº|n°)?[\s.:#-]*(?:ID|No|Nr|number|nummer|identification number)?[\s.:#-]*((?:[A-Z]{2}|CHE)[\s-]?[A-Z0-9][A-Z0-9 .-]{6,16}\d)/.exec(
      text,
    )?.[1];
  return labelled?.replace(/\s{2,}.*$/, "").replace(/[\s.]/g, "");
}
