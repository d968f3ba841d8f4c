import { type AIMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import type { ToolCall } from "@langchain/core/messages/tool";
import { END, type LangGraphRunnableConfig, Send, START, StateGraph } from "@langchain/langgraph";
import { registry } from "@langchain/langgraph/zod";
import { z } from "zod";
import { chatModel } from "../model.ts";
import { replyOffline } from "./offline-agent.ts";
import { Messages } from "./messages.ts";
import { findOrder } from "./orders.ts";
import type { Refund } from "./refund.ts";
import { toolDescriptions, useTool } from "./tools.ts";

const INSTRUCTIONS = `You are the customer support desk of a web shop. Use the tools to look up, track or refund orders;
never make up an order, a date or an amount. Ask for the order number when you need it. Be brief and friendly.`;

/** By the number of the order and the refund's place among those of the order, such as `1042/1`. */
type Refunds = Record<string, Refund>;

/** What is granted stays as it is: a second refund for the same place is one that did not know of the first. */
function addRefunds(all: Refunds, more: Refunds): Refunds {
  return { ...all, ...more, ...all };
}

const State = z.object({
  messages: Messages,
  refunds: z
    .record(z.string(), z.custom<Refund>())
    .describe("Refunds granted on this thread, by order and place: 1042/1 is the first refund of order 1042")
    .register(registry, { reducer: { fn: addRefunds }, default: () => ({}) }),
});

/** One call of a tool, as it is sent to its own task: each has its own interrupt and is finished on its own. */
interface ToolUse {
  readonly call: ToolCall;
  /** Unique on the thread, which the ids of tool calls are not with every provider. */
  readonly resultId: string;
  readonly refunds: Refunds;
  /** An earlier call of the same message refunds the same order: what this one may pay depends on its outcome. */
  readonly isSecondRefund: boolean;
}

async function answer(state: z.output<typeof State>, config: LangGraphRunnableConfig) {
  const model = await chatModel(replyOffline);
  if (model.bindTools === undefined) throw new Error("The configured model cannot call tools");
  const reply = await model
    .bindTools(toolDescriptions)
    .invoke([new SystemMessage(INSTRUCTIONS), ...state.messages], config);
  // A reply under the id of an earlier message would take its place; without one it is given a new id and comes last.
  if (state.messages.some((message) => message.id === reply.id)) delete reply.id;
  return { messages: [reply] };
}

function useOneTool({ call, resultId, refunds, isSecondRefund }: ToolUse) {
  const toolCallId = call.id ?? "";
  const { result, refund } = isSecondRefund
    ? { result: { error: "refund_in_progress", order_id: refundedOrder(call) } }
    : useTool(call.name, call.args, { toolCallId, granted: Object.values(refunds) });
  const message = new ToolMessage({
    // The same id whenever this step is executed, so that the reducer replaces the message.
    id: resultId,
    tool_call_id: toolCallId,
    name: call.name,
    content: JSON.stringify(result),
  });
  if (refund === undefined) return { messages: [message] };
  return { messages: [message], refunds: { [`${refund.order_id}/${refund.number}`]: refund } };
}

function toToolsOrEnd({ messages, refunds }: z.output<typeof State>): Send[] | typeof END {
  const reply = messages.at(-1) as AIMessage | undefined;
  const calls = reply?.tool_calls ?? [];
  if (calls.length === 0) return END;
  return calls.map((call, index) => {
    const order = refundedOrder(call);
    const isSecondRefund = order !== undefined && calls.slice(0, index).some((other) => refundedOrder(other) === order);
    const resultId = `result-${reply?.id}-${index}`;
    return new Send("use_tool", { call, resultId, refunds, isSecondRefund } satisfies ToolUse);
  });
}

/** The order that a call wants to pay back, however its number is written. */
function refundedOrder({ name, args }: ToolCall): string | undefined {
  const written = (args as { order_id?: unknown } | null)?.order_id; // a model's arguments may be any JSON
  return name === "refund_order" && typeof written === "string" ? findOrder(written)?.orderId : undefined;
}

/** A support desk that calls tools over `messages`; refunds of an order above 500 in all wait for `{approved, note?}`. */
export const graph = new StateGraph({ state: State, input: z.object({ messages: Messages }), output: State })
  .addNode("answer", answer)
  .addNode("use_tool", useOneTool)
  .addEdge(START, "answer")
  .addConditionalEdges("answer", toToolsOrEnd, ["use_tool", END])
  .addEdge("use_tool", "answer")
  .compile({ name: "customer_support" });
