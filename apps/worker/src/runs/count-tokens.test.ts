import { InMemoryCache } from "@langchain/core/caches";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, AIMessageChunk, type StandardMessageStructure } from "@langchain/core/messages";
import { ChatGenerationChunk, type ChatResult } from "@langchain/core/outputs";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { beforeAll, beforeEach, expect, test } from "vitest";
import { countIn, countTokens, type ChatModel } from "./count-tokens.ts";

const counted: string[] = [];
beforeAll(() =>
  countTokens(import.meta.filename, (model, { input, output }) => counted.push(`${model} ${input} ${output}`)),
);
beforeEach(() => void counted.splice(0));

const usage = (input: number, output: number) => ({
  usage_metadata: { input_tokens: input, output_tokens: output, total_tokens: input + output },
});

/** Answers at once. */
class Whole extends BaseChatModel {
  _llmType(): string {
    return "whole";
  }
  async _generate(): Promise<ChatResult> {
    const message = new AIMessage<StandardMessageStructure>({
      content: "hello",
      ...usage(7, 3),
      response_metadata: { model_name: "answering" },
    });
    return { generations: [{ text: "hello", message }] };
  }
}

/** Answers in pieces, with what it has read in the first and what it has written in the last. */
class Pieces extends Whole {
  override getLsParams() {
    return { ls_model_type: "chat" as const, ls_provider: "test", ls_model_name: "asked-for" };
  }
  override async *_streamResponseChunks() {
    for (const message of [
      new AIMessageChunk<StandardMessageStructure>({ content: "hel", ...usage(7, 0) }),
      new AIMessageChunk({ content: "l" }),
      new AIMessageChunk<StandardMessageStructure>({ content: "o", ...usage(0, 3) }),
    ])
      yield new ChatGenerationChunk({ message, text: String(message.content) });
  }
}

async function drain(stream: Promise<AsyncIterable<unknown>>): Promise<void> {
  for await (const _ of await stream);
}

test("what a model says that it has used is counted once, however it is called", async () => {
  await new Whole({}).invoke("hi");
  await drain(new Whole({}).stream("hi")); // it cannot
  await new Whole({}).batch(["a", "b"]);
  expect(counted.splice(0)).toEqual(Array(4).fill("answering 7 3"));
  await drain(new Pieces({}).stream("hi"));
  await new Pieces({}).invoke("hi");
  await drain(new Pieces({ disableStreaming: true }).stream("hi"));
  await new Pieces({}).withConfig({ tags: ["bound"] }).invoke("hi");
  expect(counted).toEqual(Array(4).fill("asked-for 7 3"));
});

test("a model that a graph streams the messages of is counted once", async () => {
  const State = Annotation.Root({ said: Annotation<string>() });
  const graph = new StateGraph(State)
    .addNode("speak", async (_state, config) => ({ said: String((await new Pieces({}).invoke("hi", config)).content) }))
    .addEdge(START, "speak")
    .addEdge("speak", END)
    .compile();
  await drain(graph.stream({}, { streamMode: ["messages", "values"] }));
  expect(counted).toEqual(["asked-for 7 3"]);
});

test("an answer that nobody hears to its end is counted as far as it was, one out of a cache not at all", async () => {
  for await (const _ of await new Pieces({}).stream("hi")) break;
  expect(counted.splice(0)).toEqual(["asked-for 7 0"]);
  const cached = new Whole({ cache: new InMemoryCache() });
  await cached.invoke("hi");
  await cached.invoke("hi");
  expect(counted).toEqual(["answering 7 3"]);
});

test("a model that says nonsense of what it has used is not counted, and answers all the same", async () => {
  class Odd extends Whole {
    override async *_streamResponseChunks() {
      const nonsense = { usage_metadata: { input_tokens: "7", output_tokens: NaN, total_tokens: -1 } } as object;
      const message = new AIMessageChunk<StandardMessageStructure>({ content: "hello", ...nonsense });
      yield new ChatGenerationChunk({ message, text: "hello" });
    }
  }
  let said = "";
  for await (const { content } of await new Odd({}).stream("hi")) said += String(content);
  expect(said).toBe("hello");
  expect(counted).toEqual([]);
});

test("a version of LangChain that is made otherwise is left alone", () => {
  const other = { _streamResponseChunks: () => {} } as unknown as ChatModel;
  countIn(other, () => {});
  expect(Object.keys(other)).toEqual(["_streamResponseChunks"]);
});
