import { expect, test } from "vitest";
import { refundOrder } from "./refund.ts";

const args = { order_id: "1045", reason: "too loud" };

test("the same tool call always makes the same refund", () => {
  const context = { toolCallId: "call-1", granted: [] };
  expect(refundOrder(args, context)).toEqual(refundOrder(args, context));
});

test("partial refunds leave the rest refundable, to the cent", () => {
  const first = refundOrder({ ...args, amount: 0.1 }, { toolCallId: "call-1", granted: [] });
  const granted = first.refund === undefined ? [] : [first.refund];
  const second = refundOrder(args, { toolCallId: "call-2", granted });
  expect(second.refund?.amount).toBe(498.9);
  const rest = refundOrder(args, {
    toolCallId: "call-3",
    granted: [...granted, ...(second.refund ? [second.refund] : [])],
  });
  expect(rest.result).toMatchObject({ error: "already_refunded" });
});

test("more than was paid, a cancelled order and an unknown one are refused", () => {
  const context = { toolCallId: "call-1", granted: [] };
  expect(refundOrder({ ...args, amount: 499.01 }, context).result).toMatchObject({ error: "more_than_refundable" });
  expect(refundOrder({ ...args, order_id: "1046" }, context).result).toMatchObject({ order_id: "1046" });
  expect(refundOrder({ ...args, order_id: "77" }, context).result).toMatchObject({ error: "order_not_found" });
});
