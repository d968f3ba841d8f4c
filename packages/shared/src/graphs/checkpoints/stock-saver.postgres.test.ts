import { HumanMessage } from "@langchain/core/messages";
import { Annotation, Command, END, interrupt, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../../../../test/support/database.ts";
import { holdNewRun } from "../../../../../test/failure/support/held-saver.ts";
import { settleRun } from "../../runs/run-queries.ts";

const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});

const builder = new StateGraph(State)
  .addNode("note", () => ({
    log: ["noted"],
    messages: [new HumanMessage({ id: crypto.randomUUID(), content: "note" })],
  }))
  .addNode("ask", () => ({ log: [String(interrupt("go on?"))] }))
  .addEdge(START, "note")
  .addEdge("note", "ask")
  .addEdge("ask", END);
const graphOn = (saver: BaseCheckpointSaver) => builder.compile({ checkpointer: saver });
const thread = { configurable: { thread_id: "moved" } };

test("a thread of the stock saver goes on with ours, and back", async () => {
  const { pool } = await createTestDatabase();
  const stock = () => graphOn(new PostgresSaver(pool));
  const inRun = async <T>(work: (graph: ReturnType<typeof graphOn>) => Promise<T>): Promise<T> => {
    const { run, saver } = await holdNewRun(pool, { threadId: "moved" });
    const result = await work(graphOn(saver));
    await settleRun(pool, run.run_id, run.attempt, { outcome: "success" });
    return result;
  };

  await stock().invoke({ log: ["stock 1"] }, thread);
  const answered = await inRun((graph) => graph.invoke(new Command({ resume: "ours answers" }), thread));
  expect(answered.log).toEqual(["stock 1", "noted", "ours answers"]);
  await inRun((graph) => graph.invoke({ log: ["ours 1"] }, thread));
  const back = await stock().invoke(new Command({ resume: "stock answers" }), thread);
  expect(back.log).toEqual(["stock 1", "noted", "ours answers", "ours 1", "noted", "stock answers"]);
  expect(back.messages.map((message) => message.content)).toEqual(["note", "note"]);

  const state = await inRun((graph) => graph.getState(thread));
  expect(state.next).toEqual([]);
  expect((state.values as typeof back).log).toEqual(back.log);
  expect((state.values as typeof back).messages[0]).toBeInstanceOf(HumanMessage);
});
