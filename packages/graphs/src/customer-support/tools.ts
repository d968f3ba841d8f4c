import { z } from "zod";
import { findOrder, type Order } from "./orders.ts";
import { RefundArgs, refundOrder, type RefundContext, type RefundOutcome } from "./refund.ts";

const OrderArgs = z.object({ order_id: z.string().min(1).describe("Order number, such as 1042") });

/**
 * The tools as a model sees them. They are described here and run by `useTool`, because running one needs the thread's
 * earlier refunds, which are no business of the model's.
 */
export const toolDescriptions = [
  { name: "look_up_order", description: "Items, total and status of an order.", schema: OrderArgs },
  { name: "track_shipment", description: "Where an order's parcel is and when it is expected.", schema: OrderArgs },
  {
    name: "refund_order",
    description: "Pays an order back, wholly or in part. Large refunds wait for a colleague's approval.",
    schema: RefundArgs,
  },
];

/** Runs the tool of this name; a mistake of the model's (unknown tool, wrong arguments) becomes the tool's result. */
export function useTool(name: string, args: unknown, context: RefundContext): RefundOutcome {
  if (name === "refund_order") return withArgs(RefundArgs, args, (valid) => refundOrder(valid, context));
  if (name === "look_up_order") return withArgs(OrderArgs, args, (valid) => describe(valid.order_id, orderSummary));
  if (name === "track_shipment") return withArgs(OrderArgs, args, (valid) => describe(valid.order_id, shipmentSummary));
  return { result: { error: "unknown_tool", tool: name } };
}

function withArgs<S extends z.ZodType>(
  schema: S,
  args: unknown,
  run: (valid: z.output<S>) => RefundOutcome,
): RefundOutcome {
  const parsed = schema.safeParse(args);
  if (parsed.success) return run(parsed.data);
  return { result: { error: "invalid_arguments", details: z.prettifyError(parsed.error) } };
}

function describe(orderId: string, summarise: (order: Order) => object): RefundOutcome {
  const order = findOrder(orderId);
  return { result: order === undefined ? { error: "order_not_found", order_id: orderId } : summarise(order) };
}

function orderSummary(order: Order): object {
  return {
    order_id: order.orderId,
    customer: order.customer,
    status: order.status,
    ordered_on: order.orderedOn,
    items: order.items,
    total: order.total,
    currency: order.currency,
  };
}

function shipmentSummary({ orderId, status, shipment }: Order): object {
  if (shipment === undefined) return { order_id: orderId, status, tracking_number: null };
  return {
    order_id: orderId,
    status,
    carrier: shipment.carrier,
    tracking_number: shipment.trackingNumber,
    last_seen: shipment.lastSeen,
    expected_on: shipment.expectedOn,
    delivered_on: shipment.deliveredOn ?? null,
  };
}
