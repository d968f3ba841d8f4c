import { AIMessageChunk, HumanMessage } from "@langchain/core/messages";
import { FakeStreamingChatModel } from "@langchain/core/utils/testing";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";

const CHUNKS = Array.from({ length: 200 }, (_, i) => new AIMessageChunk({ content: `tok${i} ` }));

/** A model that streams 200 chunks as fast as they are taken. */
async function answer() {
  const model = new FakeStreamingChatModel({ chunks: CHUNKS, sleep: 0 });
  let whole;
  for await (const chunk of await model.stream([new HumanMessage("go")])) whole = whole?.concat(chunk) ?? chunk;
  return { messages: [whole] };
}

export const graph = new StateGraph(MessagesAnnotation)
  .addNode("model", answer)
  .addEdge(START, "model")
  .addEdge("model", END)
  .compile();
