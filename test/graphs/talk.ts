import { AIMessage, AIMessageChunk, type BaseMessage } from "@langchain/core/messages";
import { FakeStreamingChatModel } from "@langchain/core/utils/testing";
import {
  Annotation,
  END,
  messagesStateReducer,
  START,
  StateGraph,
  type LangGraphRunnableConfig,
} from "@langchain/langgraph";

const State = Annotation.Root({
  messages: Annotation<BaseMessage[]>({ reducer: messagesStateReducer, default: () => [] }),
});

const TOKENS = ["The ", "quick ", "fox"];
const model = new FakeStreamingChatModel({
  sleep: 0,
  chunks: TOKENS.map((content) => new AIMessageChunk({ content })),
});

async function speak(state: typeof State.State, config: LangGraphRunnableConfig) {
  config.writer?.({ speaking: true });
  let said: AIMessageChunk | undefined;
  for await (const chunk of await model.stream(state.messages, config)) said = said?.concat(chunk) ?? chunk;
  return { messages: said === undefined ? [] : [said] };
}

const inner = new StateGraph(State).addNode("speak", speak).addEdge(START, "speak").addEdge("speak", END).compile();

/** A subgraph that streams three tokens, then a node that adds a message of its own. */
export const graph = new StateGraph(State)
  .addNode("inner", inner)
  .addNode("close", () => ({ messages: [new AIMessage({ id: "closing", content: "Goodbye" })] }))
  .addEdge(START, "inner")
  .addEdge("inner", "close")
  .addEdge("close", END)
  .compile();
