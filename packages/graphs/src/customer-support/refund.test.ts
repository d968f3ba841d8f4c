import { expect, test } from "vitest";
import { RefundArgs, refundOrder } from "./refund.ts";

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

test.each([
  0,
  -0.01,
  -500,
  0.001,
  499.995,
  1e-9,
  Number.NaN,
  Infinity,
  -Infinity,
  "500",
  "500 EUR",
  null,
  [500],
  {},
  true,
])("%j is no amount", (amount) => {
  expect(RefundArgs.safeParse({ order_id: "1042", amount }).success).toBe(false);
});

test.each([0.01, 0.29, 1.1, 498.9, 500, 899])("%d is an amount", (amount) => {
  expect(RefundArgs.safeParse({ order_id: "1042", amount }).success).toBe(true);
});

test("what one tool call is granted for two orders has two numbers", () => {
  const context = { toolCallId: "call-1", granted: [] };
  const ids = ["1043", "1045"].map((order_id) => refundOrder({ ...args, order_id }, context).refund?.refund_id);
  expect(new Set(ids).size).toBe(2);
});
