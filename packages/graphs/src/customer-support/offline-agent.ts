import type { BaseMessage } from "@langchain/core/messages";
import { parseAmount } from "../document-processor/parsing/amounts.ts";
import type { OfflineReply } from "../offline-model.ts";
import { describeResult } from "./describe-result.ts";

const ORDER_NUMBER = /(?:#|\b(?:order|ord|number|no\.?|nr\.?)[\s:#-]*)?\b(\d{3,6})\b/i;
/** A figure beside a currency; taken whole, or `2,500 EUR` would be read as 500. */
const AMOUNT =
  /[€$£]\s?(\d(?:[\d.,]*\d)?)|(?<![\d.,])(\d(?:[\d.,]*\d)?)\s?(?:(?:eur|usd|gbp|euros?|dollars?|pounds?)\b|[€$£])/i;

/** What the customer wants, tried in this order: "refund my order, where is it?" is about the refund. */
const INTENTS: readonly (readonly [RegExp, Intent])[] = [
  [/\b(refund|money back|reimburse|pay(?:ment)? back|return(?:ing)? (?:it|the|my))/i, "refund"],
  [/\b(where|track\w*|ship\w*|deliver\w*|arriv\w*|parcel|package|when)\b/i, "track"],
  [/\b(status|order|bought|purchase|items?|details|total|cost)\b/i, "look_up"],
  [/\b(thanks?|thank you|thx|cheers|great|perfect)\b/i, "thanks"],
  [/\b(bye|goodbye|see you)\b/i, "goodbye"],
  [/\b(human|agent|person|someone|complain\w*)\b/i, "person"],
  [/\b(hello|hi|hey|good (?:morning|afternoon|evening))\b/i, "hello"],
];
type Intent = "refund" | "track" | "look_up" | "thanks" | "goodbye" | "person" | "hello";

const SMALL_TALK: Readonly<Record<"thanks" | "goodbye" | "person" | "hello", string>> = {
  thanks: "You're welcome! Is there anything else I can do for you?",
  goodbye: "Goodbye, and thank you for shopping with us!",
  person: "I will let a colleague know. Meanwhile I can look up an order, track its parcel or start a refund for you.",
  hello: "Hello! I can look up an order, track its parcel or refund it. What is your order number?",
};

const TOOL_OF: Readonly<Record<"refund" | "track" | "look_up", string>> = {
  refund: "refund_order",
  track: "track_shipment",
  look_up: "look_up_order",
};

/**
 * The desk's replies without a provider: keywords find the intent, the order number is the latest one that the
 * customer wrote. Results of tools are put into words. Depends on the messages alone.
 */
export function replyOffline(messages: readonly BaseMessage[]): OfflineReply {
  const results = latestToolResults(messages);
  if (results.length > 0) return { text: results.map(describeResult).join("\n") };
  const texts = messages.filter((message) => message.type === "human").map((message) => message.text);
  const request = texts.at(-1) ?? "";
  const intent = intentOf(request) ?? (isJustANumber(request) ? intentOf(texts.at(-2) ?? "") : undefined);
  if (intent !== undefined && intent in SMALL_TALK && orderNumberIn(request) === undefined) {
    return { text: SMALL_TALK[intent as keyof typeof SMALL_TALK] };
  }
  if (intent === undefined && orderNumberIn(request) === undefined) return { text: askForNumber(undefined) };
  const orderId = texts.toReversed().flatMap((text) => orderNumberIn(text) ?? [])[0];
  if (orderId === undefined) return { text: askForNumber(intent) };
  return { toolCalls: [toolCall(intent, orderId, request)] };
}

function toolCall(intent: Intent | undefined, orderId: string, request: string) {
  const name = TOOL_OF[intent === "refund" || intent === "track" ? intent : "look_up"];
  if (name !== "refund_order") return { name, args: { order_id: orderId } };
  const amount = amountIn(request);
  const reason = /\b(?:because|since|as)\b\s+(.{3,200})/i.exec(request)?.[1]?.replace(/[.!]+$/, "");
  return { name, args: { order_id: orderId, ...(amount !== undefined && { amount }), ...(reason && { reason }) } };
}

function askForNumber(intent: Intent | undefined): string {
  if (intent === undefined) return "I can look up an order, track its parcel or refund it. Which order is it about?";
  return "I can do that. What is the order number? It is in the confirmation mail, such as 1042.";
}

/** The results since the assistant's last message, oldest first; none when the customer spoke last. */
function latestToolResults(messages: readonly BaseMessage[]): string[] {
  const lastOther = messages.findLastIndex((message) => message.type !== "tool");
  return messages.slice(lastOther + 1).map((message) => message.text);
}

function intentOf(text: string): Intent | undefined {
  return INTENTS.find(([pattern]) => pattern.test(text))?.[1];
}

function isJustANumber(text: string): boolean {
  return (
    text
      .replace(/[^\p{L}\d]/gu, "")
      .replace(/^(?:order|number|its?|is|the)+/i, "")
      .match(/^\d+$/) !== null
  );
}

function orderNumberIn(text: string): string | undefined {
  return ORDER_NUMBER.exec(text.replace(AMOUNT, " "))?.[1];
}

/** Undefined when the customer names none; not a number, which the tool refuses, when it cannot be read. */
function amountIn(text: string): number | undefined {
  const match = AMOUNT.exec(text);
  const figure = match?.[1] ?? match?.[2];
  return figure === undefined ? undefined : (parseAmount(figure) ?? Number.NaN);
}
