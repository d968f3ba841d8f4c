import { z } from "zod";
import type { DocumentType } from "../state.ts";

const text = z.string().nullish();
const amount = z.number().nullish();
const date = z.iso.date().nullish();
const lineItems = z
  .array(z.object({ description: z.string(), quantity: amount, unit_price: amount, amount: z.number() }))
  .nullish();
const currency = z
  .string()
  .regex(/^[A-Z]{3}$/)
  .nullish();
const totals = {
  subtotal: amount,
  discount: amount,
  shipping: amount,
  vat_rate: amount,
  vat_amount: amount,
  total: amount,
};

/** What a model is asked for, by type: the same names as the rules use. An answer of another shape is not used. */
export const ModelFields = {
  invoice: z.object({
    invoice_number: text,
    order_number: text,
    issue_date: date,
    due_date: date,
    seller: text,
    buyer: text,
    currency,
    line_items: lineItems,
    ...totals,
    iban: text,
    bic: text,
    vat_id: text,
  }),
  receipt: z.object({
    merchant: text,
    date,
    currency,
    line_items: lineItems,
    ...totals,
    tip: amount,
    payment_method: text,
  }),
  contract: z.object({
    title: text,
    parties: z.array(z.string()).nullish(),
    signed_date: date,
    effective_date: date,
    end_date: date,
    term_months: amount,
    notice_days: amount,
    governing_law: text,
    value: amount,
    currency,
  }),
  letter: z.object({ sender: text, recipient: text, date, subject: text, signatory: text }),
  report: z.object({
    title: text,
    author: text,
    organisation: text,
    date,
    period: text,
    key_figures: z.array(z.string()).nullish(),
  }),
} satisfies Record<Exclude<DocumentType, "unknown">, z.ZodObject>;
