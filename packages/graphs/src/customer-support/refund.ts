import { createHash } from "node:crypto";
import { z } from "zod";
import { askPerson } from "../ask-person.ts";
import { findOrder, type Order } from "./orders.ts";

/** Refunds above this amount, in the order's currency, wait for a person. */
export const APPROVAL_LIMIT = 500;

/** A refund that was granted. `refundId` is derived from the tool call, so granting it twice is granting it once. */
export interface Refund {
  readonly refund_id: string;
  readonly order_id: string;
  readonly amount: number;
  readonly currency: string;
  readonly reason: string;
  readonly approval_note?: string;
}

/** What a refund has to know about the conversation besides its arguments. */
export interface RefundContext {
  readonly toolCallId: string;
  /** Refunds granted earlier on this thread. */
  readonly granted: readonly Refund[];
}

export const RefundArgs = z.object({
  order_id: z.string().min(1).describe("Order number, such as 1042"),
  amount: z.number().positive().optional().describe("Amount to pay back; everything still refundable if left out"),
  reason: z.string().default("requested by the customer").describe("Why the customer wants the money back"),
});

const Approval = z.object({ approved: z.boolean(), note: z.string().optional() });

/** `result` is what the model is told; `refund` is present only when money goes back. */
export interface RefundOutcome {
  readonly result: object;
  readonly refund?: Refund;
}

/**
 * Grants a refund, asking a person first when it is above the limit. Nothing outside the graph changes: the refund is
 * a record in the thread's state under its tool call's id, so a step that runs again writes the same record again.
 */
export function refundOrder(args: z.output<typeof RefundArgs>, context: RefundContext): RefundOutcome {
  const order = findOrder(args.order_id);
  if (order === undefined) return refused(args.order_id, "order_not_found");
  if (order.status === "cancelled") return refused(order.orderId, "order_was_cancelled_and_already_paid_back");
  const refundable = stillRefundable(order, context);
  const amount = args.amount ?? refundable;
  if (refundable <= 0) return refused(order.orderId, "already_refunded");
  if (amount > refundable) return refused(order.orderId, "more_than_refundable", { refundable });
  if (amount <= APPROVAL_LIMIT) return grant(order, amount, args.reason, context);

  const { approved, note } = askPerson(
    {
      action: "approve_refund",
      order_id: order.orderId,
      customer: order.customer,
      amount,
      currency: order.currency,
      reason: args.reason,
    },
    Approval,
  );
  if (!approved) return refused(order.orderId, "refund_denied", note === undefined ? {} : { note });
  return grant(order, amount, args.reason, context, note);
}

function grant(order: Order, amount: number, reason: string, context: RefundContext, note?: string): RefundOutcome {
  const refund: Refund = {
    refund_id: `RF-${createHash("sha256").update(context.toolCallId).digest("hex").slice(0, 8).toUpperCase()}`,
    order_id: order.orderId,
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

/** In whole cents, because 899 - 0.1 - 898.9 is not zero in doubles. */
function stillRefundable(order: Order, { granted }: RefundContext): number {
  const earlier = granted.filter((refund) => refund.order_id === order.orderId);
  return Math.round(earlier.reduce((rest, refund) => rest - refund.amount, order.total) * 100) / 100;
}
