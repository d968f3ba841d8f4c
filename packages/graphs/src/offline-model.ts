import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BindToolsInput,
} from "@langchain/core/language_models/chat_models";
import { AIMessageChunk, type BaseMessage, type StandardMessageStructure } from "@langchain/core/messages";
import type { ToolCall } from "@langchain/core/messages/tool";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";
import { concat } from "@langchain/core/utils/stream";

/** What the offline model says: text, calls of bound tools, or both. Calls get their ids from the model. */
export interface OfflineReply {
  readonly text?: string;
  readonly toolCalls?: readonly Pick<ToolCall, "name" | "args">[];
}

/** Derives the reply from the conversation alone; called with the names of the tools that are bound. */
export type Reply = (messages: readonly BaseMessage[], toolNames: readonly string[]) => OfflineReply;

interface OfflineCallOptions extends BaseChatModelCallOptions {
  tools?: BindToolsInput[];
}

/**
 * A chat model that needs no network: the same messages always give the same reply, under the same message id. A
 * super-step that is executed again after a crash therefore replaces its message instead of appending a second one.
 *
 * It behaves as a provider's model does where graphs can tell: streams word by word, sends a tool call's arguments
 * in several `tool_call_chunks`, reports usage with the last chunk, and stops as soon as the signal aborts.
 */
export class OfflineChatModel extends BaseChatModel<OfflineCallOptions> {
  readonly #reply: Reply;
  readonly #tokenDelayMs: number;

  constructor({ reply, tokenDelayMs = 0 }: { reply: Reply; tokenDelayMs?: number }) {
    super({});
    this.#reply = reply;
    this.#tokenDelayMs = tokenDelayMs;
  }

  _llmType(): string {
    return "offline";
  }

  override bindTools(tools: BindToolsInput[], options?: Partial<OfflineCallOptions>) {
    return this.withConfig({ ...options, tools });
  }

  async _generate(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    let whole: ChatGenerationChunk | undefined;
    for await (const chunk of this._streamResponseChunks(messages, options, runManager)) {
      whole = whole === undefined ? chunk : concat(whole, chunk);
    }
    return { generations: whole === undefined ? [] : [whole] };
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    const reply = this.#reply(messages, (options.tools ?? []).map(toolName));
    for (const chunk of chunksOf(reply, fingerprint(messages), countTokens(messages))) {
      await this.#pause(options.signal);
      yield chunk;
      await runManager?.handleLLMNewToken(chunk.text, undefined, undefined, undefined, undefined, { chunk });
    }
  }

  /** Gives way to the event loop even without a delay, so that an abort is seen between two words. */
  async #pause(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    await sleep(this.#tokenDelayMs, undefined, signal === undefined ? {} : { signal });
  }
}

/** All chunks of a message carry its id, so that whoever reads the stream can put them together. */
function chunksOf(reply: OfflineReply, id: string, inputTokens: number): ChatGenerationChunk[] {
  const words = (reply.text ?? "").match(/\s*\S+/g) ?? [];
  const texts = words.map((content) => new AIMessageChunk({ id, content }));
  const calls = (reply.toolCalls ?? []).flatMap((call, index) => toolCallChunks(call, index, id));
  const outputTokens = words.length + calls.length;
  const last = new AIMessageChunk<StandardMessageStructure>({
    id,
    content: "",
    response_metadata: { model_name: "offline", finish_reason: calls.length > 0 ? "tool_calls" : "stop" },
    usage_metadata: {
      input_tokens: inputTokens,
      output_tokens: outputTokens,
      total_tokens: inputTokens + outputTokens,
    },
  });
  return [...texts, ...calls, last].map(
    (message) => new ChatGenerationChunk({ message, text: typeof message.content === "string" ? message.content : "" }),
  );
}

/** The name and id first, then the JSON of the arguments in two halves, as providers send them. */
function toolCallChunks(call: Pick<ToolCall, "name" | "args">, index: number, id: string): AIMessageChunk[] {
  const json = JSON.stringify(call.args);
  const half = Math.ceil(json.length / 2);
  const pieces = [
    { name: call.name, args: "", id: `call-${id}-${index}` },
    { args: json.slice(0, half) },
    { args: json.slice(half) },
  ];
  return pieces.map(
    (piece) =>
      new AIMessageChunk({ id, content: "", tool_call_chunks: [{ ...piece, index, type: "tool_call_chunk" }] }),
  );
}

function fingerprint(messages: readonly BaseMessage[]): string {
  const hash = createHash("sha256");
  for (const message of messages) hash.update(JSON.stringify([message.type, message.id ?? null, message.content]));
  return `offline-${hash.digest("hex").slice(0, 24)}`;
}

/** Four characters to a token: near enough for a usage figure that nobody is billed for. */
function countTokens(messages: readonly BaseMessage[]): number {
  return Math.ceil(messages.reduce((length, message) => length + message.text.length, 0) / 4);
}

function toolName(tool: BindToolsInput): string {
  const named = tool as { name?: string; function?: { name?: string } };
  return named.name ?? named.function?.name ?? "";
}
