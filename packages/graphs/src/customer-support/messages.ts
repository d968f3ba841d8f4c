import {
  type AIMessage,
  type BaseMessage,
  type BaseMessageLike,
  coerceMessageLikeToMessage,
} from "@langchain/core/messages";
import { MessagesZodMeta } from "@langchain/langgraph";
import { withLangGraph } from "@langchain/langgraph/zod";
import { z } from "zod";

const Content = z.union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().optional() }))]);
/** With arguments of any kind, because models make mistakes, but not without: that could not be sent to a model again. */
const ToolCalls = z.array(
  z.looseObject({ name: z.string(), args: z.unknown() }).refine(({ args }) => args !== undefined),
);

/**
 * The conversation. What a client adds to it is checked before it is stored: a message that cannot be read would fail
 * every later run of its thread as well, and nobody could take it out.
 */
export const Messages = withLangGraph(
  z.custom<BaseMessage[]>().superRefine((messages: unknown, context) => {
    const list = Array.isArray(messages) ? (messages as unknown[]) : [messages];
    for (const [index, message] of list.entries()) {
      const problem = problemOf(message);
      if (problem !== undefined) context.addIssue({ code: "custom", message: `message ${index}: ${problem}` });
    }
  }),
  MessagesZodMeta,
);

/** Why a message cannot be used, in any of the forms that LangChain takes; undefined when it can. */
function problemOf(written: unknown): string | undefined {
  let message: BaseMessage;
  try {
    message = coerceMessageLikeToMessage(written as BaseMessageLike);
  } catch {
    return 'expected {role, content} with the role "user", "assistant", "system" or "tool"';
  }
  const { id, content } = message as { id?: unknown; content?: unknown };
  const toolCalls: unknown = (message as AIMessage).tool_calls;
  if (id !== undefined && id !== null && typeof id !== "string") return "the id must be a string";
  if (content !== undefined && content !== null && !Content.safeParse(content).success) {
    return "the content must be text or a list of blocks such as {type, text}";
  }
  if (toolCalls !== undefined && !ToolCalls.safeParse(toolCalls).success) {
    return "tool_calls must be a list of {name, args, id}";
  }
  return undefined;
}
