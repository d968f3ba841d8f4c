import { type AIMessage, type BaseMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import type { ToolCall } from "@langchain/core/messages/tool";
import { END, type LangGraphRunnableConfig, MessagesZodMeta, Send, START, StateGraph } from "@langchain/langgraph";
import { registry, withLangGraph } from "@langchain/langgraph/zod";
import { z } from "zod";
import { chatModel } from "../model.ts";
import { replyOffline } from "./offline-agent.ts";
import type { Refund } from "./refund.ts";
import { toolDescriptions, useTool } from "./tools.ts";

const INSTRUCTIONS = `You are the customer support desk of a web shop. Use the tools to look up, track or refund orders;
never make up an order, a date or an amount. Ask for the order number when you need it. Be brief and friendly.`;

const Messages = withLangGraph(z.custom<BaseMessage[]>(), MessagesZodMeta);

/** By the id of the tool call that asked for the refund. */
type Refunds = Record<string, Refund>;

const State = z.object({
  messages: Messages,
  refunds: z
    .record(z.string(), z.custom<Refund>())
    .describe("Refunds granted on this thread, by the id of the tool call that asked for them")
    .register(registry, {
      reducer: { fn: (all: Refunds, more: Refunds): Refunds => ({ ...all, ...more }) },
      default: () => ({}),
    }),
});

/** One call of a tool, as it is sent to its own task: each has its own interrupt and is finished on its own. */
interface ToolUse {
  readonly call: ToolCall;
  readonly refunds: Refunds;
  /** An earlier call of the same message refunds the same order: this one has to wait for its outcome. */
  readonly isSecondRefund: boolean;
}

async function answer(state: z.output<typeof State>, config: LangGraphRunnableConfig) {
  const model = await chatModel(replyOffline);
  if (model.bindTools === undefined) throw new Error("The configured model cannot call tools");
  const reply = await model
    .bindTools(toolDescriptions)
    .invoke([new SystemMessage(INSTRUCTIONS), ...state.messages], config);
  return { messages: [reply] };
}

function useOneTool({ call, refunds, isSecondRefund }: ToolUse) {
  const toolCallId = call.id ?? "";
  const { [toolCallId]: _own, ...earlier } = refunds;
  const { result, refund } = isSecondRefund
    ? { result: { error: "refund_in_progress", order_id: refundedOrder(call) } }
    : useTool(call.name, call.args, { toolCallId, granted: Object.values(earlier) });
  const message = new ToolMessage({
    // Derived from the call, so that the reducer replaces the message when this step is executed again.
    id: `result-${toolCallId}`,
    tool_call_id: toolCallId,
    name: call.name,
    content: JSON.stringify(result),
  });
  return { messages: [message], ...(refund !== undefined && { refunds: { [toolCallId]: refund } }) };
}

function toToolsOrEnd({ messages, refunds }: z.output<typeof State>): Send[] | typeof END {
  const calls = (messages.at(-1) as AIMessage | undefined)?.tool_calls ?? [];
  if (calls.length === 0) return END;
  return calls.map((call, index) => {
    const order = refundedOrder(call);
    const isSecondRefund = order !== undefined && calls.slice(0, index).some((other) => refundedOrder(other) === order);
    return new Send("use_tool", { call, refunds, isSecondRefund } satisfies ToolUse);
  });
}

function refundedOrder(call: ToolCall): string | undefined {
  return call.name === "refund_order" ? String(call.args["order_id"]) : undefined;
}

/** A support desk that calls tools over `messages`; a refund above 500 waits for `{approved, note?}`. */
export const graph = new StateGraph({ state: State, input: z.object({ messages: Messages }), output: State })
  .addNode("answer", answer)
  .addNode("use_tool", useOneTool)
  .addEdge(START, "answer")
  .addConditionalEdges("answer", toToolsOrEnd, ["use_tool", END])
  .addEdge("use_tool", "answer")
  .compile({ name: "customer_support" });
