import { createHash } from "node:crypto";
import { z } from "zod";
import { askPerson } from "../ask-person.ts";
import { findOrder, type Order } from "./orders.ts";

/**
 * A refund waits for a person when it brings what the conversation has paid back for its order above this amount, in the
 * order's currency: two halves of a large refund need the same approval as the whole.
 */
export const APPROVAL_LIMIT = 500;

/** A refund that was granted. `refund_id` is derived from what was asked, so granting it twice is granting it once. */
export interface Refund {
  readonly refund_id: string;
  readonly order_id: string;
  /** Its place among the refunds of the order, from 1. */
  readonly number: number;
  readonly amount: number;
  readonly currency: string;
  readonly reason: string;
  readonly approval_note?: string;
}

/** What a refund has to know about the conversation besides its arguments. */
export interface RefundContext {
  readonly toolCallId: string;
  /** Refunds granted earlier on this thread, whatever their tool calls were named: providers do use an id again. */
  readonly granted: readonly Refund[];
}

export const RefundArgs = z.object({
  order_id: z.string().min(1).describe("Order number, such as 1042"),
  amount: z
    .number()
    .positive()
    .refine((amount) => fromCents(toCents(amount)) === amount, "at most two decimals")
    .optional()
    .describe("Amount to pay back, to the cent; everything still refundable if left out"),
  reason: z.string().max(1000).default("requested by the customer").describe("Why the customer wants the money back"),
});

/** Strict: who answers with an amount believes to approve that amount, and has to be told that it is all or nothing. */
const Approval = z.strictObject({ approved: z.boolean(), note: z.string().max(1000).optional() });

/** `result` is what the model is told; `refund` is present only when money goes back. */
export interface RefundOutcome {
  readonly result: object;
  readonly refund?: Refund;
}

/**
 * Grants a refund, asking a person first when it goes above the limit. Nothing outside the graph changes: the refund is
 * a record in the thread's state, so a step that runs again writes the same record again.
 */
export function refundOrder(args: z.output<typeof RefundArgs>, context: RefundContext): RefundOutcome {
  const order = findOrder(args.order_id);
  if (order === undefined) return refused(args.order_id, "order_not_found");
  if (order.status === "cancelled") return refused(order.orderId, "order_was_cancelled_and_already_paid_back");
  const earlier = context.granted.filter((refund) => refund.order_id === order.orderId);
  // In whole cents, because 899 - 0.1 - 898.9 is not zero in doubles.
  const paid = earlier.reduce((sum, refund) => sum + toCents(refund.amount), 0);
  const left = toCents(order.total) - paid;
  const cents = args.amount === undefined ? left : toCents(args.amount);
  if (left <= 0) return refused(order.orderId, "already_refunded");
  if (cents > left) return refused(order.orderId, "more_than_refundable", { refundable: fromCents(left) });

  const wanted = { order, amount: fromCents(cents), reason: args.reason, number: earlier.length + 1 };
  if (paid + cents <= toCents(APPROVAL_LIMIT)) return grant(wanted, context);
  const { approved, note } = askPerson(approvalQuestion(wanted, fromCents(paid)), Approval);
  if (!approved) return refused(order.orderId, "refund_denied", note === undefined ? {} : { note });
  return grant(wanted, context, note);
}

interface WantedRefund {
  readonly order: Order;
  readonly amount: number;
  readonly reason: string;
  readonly number: number;
}

function approvalQuestion({ order, amount, reason }: WantedRefund, alreadyRefunded: number): object {
  return {
    action: "approve_refund",
    order_id: order.orderId,
    customer: order.customer,
    amount,
    already_refunded: alreadyRefunded,
    currency: order.currency,
    reason,
  };
}

function grant({ order, amount, reason, number }: WantedRefund, context: RefundContext, note?: string): RefundOutcome {
  const asked = JSON.stringify([context.toolCallId, order.orderId, number]);
  const refund: Refund = {
    refund_id: `RF-${createHash("sha256").update(asked).digest("hex").slice(0, 8).toUpperCase()}`,
    order_id: order.orderId,
    number,
    amount,
    currency: order.currency,
    reason,
    ...(note !== undefined && { approval_note: note }),
  };
  return { result: { status: "refunded", ...refund }, refund };
}

function refused(orderId: string, error: string, details: object = {}): RefundOutcome {
  return { result: { error, order_id: orderId, ...details } };
}

function toCents(amount: number): number {
  return Math.round(amount * 100);
}

function fromCents(cents: number): number {
  return cents / 100;
}
