import { z } from "zod";

/** Everything that any tool of the desk may answer; each result has some of it. */
const Result = z.object({
  error: z.string().optional(),
  status: z.string().optional(),
  order_id: z.string().default("?"),
  refund_id: z.string().optional(),
  amount: z.number().optional(),
  refundable: z.number().optional(),
  note: z.string().optional(),
  currency: z.string().default(""),
  total: z.number().optional(),
  items: z.array(z.object({ name: z.string(), quantity: z.number() })).default([]),
  carrier: z.string().optional(),
  tracking_number: z.string().nullish(),
  last_seen: z.string().optional(),
  expected_on: z.string().optional(),
  delivered_on: z.string().nullish(),
});
type Result = z.output<typeof Result>;

/** Puts one tool's JSON result into a sentence or two for the customer. Clients may add results of their own making. */
export function describeResult(json: string): string {
  const parsed = Result.safeParse(parseJson(json));
  if (!parsed.success) return "I could not make sense of the answer that I got. Shall I try again?";
  const result = parsed.data;
  if (result.error !== undefined) return describeError(result.error, result);
  if (result.refund_id !== undefined) {
    return `Done: ${money(result.amount, result)} for order ${result.order_id} is on its way back to you (refund ${result.refund_id}).`;
  }
  if (result.tracking_number !== undefined) return describeShipment(result);
  const items = result.items.map((item) => `${item.quantity} × ${item.name}`).join(", ");
  return `Order ${result.order_id} (${items}) comes to ${money(result.total, result)} and is ${result.status}.`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function describeShipment(result: Result): string {
  if (result.tracking_number === null) return `Order ${result.order_id} is ${result.status}: no parcel has left yet.`;
  const parcel = `${result.carrier} parcel ${result.tracking_number}`;
  if (typeof result.delivered_on === "string") {
    return `Order ${result.order_id} was delivered on ${result.delivered_on} (${parcel}, ${result.last_seen}).`;
  }
  return `Order ${result.order_id} is on its way: ${parcel} was last seen at the ${result.last_seen} and should arrive on ${result.expected_on}.`;
}

function describeError(error: string, result: Result): string {
  const order = `order ${result.order_id}`;
  const note = result.note === undefined ? "" : ` Their note: ${result.note}`;
  const sentences: Readonly<Record<string, string>> = {
    order_not_found: `I cannot find ${order}. Could you check the number?`,
    refund_denied: `A colleague has looked at the refund of ${order} and did not approve it.${note}`,
    already_refunded: `Everything for ${order} has been refunded already.`,
    refund_in_progress: `One refund of ${order} at a time, please: another one is being handled.`,
    more_than_refundable: `That is more than can be refunded for ${order}: ${result.refundable ?? 0} is left.`,
    order_was_cancelled_and_already_paid_back: `The ${order} was cancelled, and its money has been paid back.`,
  };
  return sentences[error] ?? `That did not work for ${order} (${error}).`;
}

function money(amount: number | undefined, { currency }: Result): string {
  return `${(amount ?? 0).toFixed(2)} ${currency}`.trim();
}
