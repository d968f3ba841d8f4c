import { findDates } from "../parsing/dates.ts";
import { findLabelled } from "../parsing/labels.ts";
import type { Layout } from "../parsing/layout.ts";
import { findLineItems } from "../parsing/line-items.ts";
import { findCompanies } from "../parsing/parties.ts";
import { findTotals } from "../parsing/totals.ts";
import type { Fields } from "../state.ts";
import { acceptId } from "./invoice-fields.ts";
import { withoutUndefined } from "./without-undefined.ts";

const PAYMENT_METHODS: readonly (readonly [RegExp, string])[] = [
  [
    /\b(?:visa|master\s?card|maestro|amex|american express|girocard|debit|credit card|card payment|card|ec-karte|kreditkarte|kartenzahlung|carte bancaire|cb|tarjeta|contactless)\b/i,
    "card",
  ],
  [/\b(?:paypal|apple pay|google pay|twint|klarna)\b/i, "online"],
  [/\b(?:cash|bar(?:zahlung)?|espèces|efectivo|contanti|contant)\b/i, "cash"],
];

/** Fields of a receipt: where, when, what and how it was paid. Absent when not found. */
export function extractReceipt(layout: Layout): Fields {
  return withoutUndefined({
    merchant: findMerchant(layout),
    receipt_number: findLabelled(
      layout,
      String.raw`(?:receipt|transaction|trans|bon|beleg|ticket|check|order)[\s-]*(?:no|nr|number|nummer|#|id)?\.?`,
      acceptId,
    ),
    date: findDates(layout.text, layout.dayOrder)[0],
    time: /\b([01]?\d|2[0-3]):([0-5]\d)(?::[0-5]\d)?\b(?:\s?([ap])\.?m)?/i.exec(layout.text)?.[0].replace(/\s/g, ""),
    currency: layout.currency,
    line_items: findLineItems(layout).map((item) => ({ ...item })),
    ...findTotals(layout),
    payment_method: PAYMENT_METHODS.find(([pattern]) => pattern.test(layout.text))?.[1],
  });
}

/** A receipt opens with the shop's name, often with the number of the branch; a company's full name goes before it. */
function findMerchant(layout: Layout): string | undefined {
  const head = layout.lines.slice(0, 6).flatMap((line) => line.cells);
  const labelled = findLabelled(layout, "merchant|store name|shop|händler", (name) =>
    /\p{L}{2}/u.test(name) ? name : undefined,
  );
  const isGreeting = (cell: string) =>
    /^(?:\W*(?:sales |customer )?(?:receipt|quittung|kassenbon|ticket|reçu|recibo|scontrino)\b|welcome|willkommen|bienvenue|date|tel)/i.test(
      cell,
    );
  const opening = head.find((cell) => /\p{L}{2}/u.test(cell) && !isGreeting(cell));
  return (
    labelled ??
    head.flatMap((cell) => findCompanies(cell))[0] ??
    opening?.replace(/\s*(?:#|no\.?|nr\.?)?\s*\d+$/i, "").replace(/^\W+|[*\s-]+$/g, "")
  );
}
