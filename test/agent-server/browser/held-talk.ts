import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AIMessageChunk } from "@langchain/core/messages";
import { FakeStreamingChatModel } from "@langchain/core/utils/testing";
import { END, MessagesAnnotation, START, StateGraph, type LangGraphRunnableConfig } from "@langchain/langgraph";

const TOKENS = ["One, ", "two, ", "three, ", "four."];

/** Stops in the middle of an answer until there is a file of its thread's name in HELD_TALKS. */
class HeldModel extends FakeStreamingChatModel {
  readonly #file: string;

  constructor(threadId: string) {
    super({ sleep: 0, chunks: TOKENS.map((content) => new AIMessageChunk({ content })) });
    this.#file = join(process.env["HELD_TALKS"] ?? "", threadId);
  }

  override async *_streamResponseChunks(...args: Parameters<FakeStreamingChatModel["_streamResponseChunks"]>) {
    let said = 0;
    for await (const chunk of super._streamResponseChunks(...args)) {
      said += 1;
      while (said > 2 && !existsSync(this.#file)) await delay(20, undefined, { signal: args[1].signal });
      yield chunk;
    }
  }
}

export const graph = new StateGraph(MessagesAnnotation)
  .addNode("speak", async ({ messages }, config: LangGraphRunnableConfig) => {
    const model = new HeldModel(String(config.configurable?.["thread_id"]));
    return { messages: [await model.invoke(messages, config)] };
  })
  .addEdge(START, "speak")
  .addEdge("speak", END)
  .compile();
