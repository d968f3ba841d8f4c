import { setTimeout as delay } from "node:timers/promises";
import { tool } from "@langchain/core/tools";
import { once, type OnceCall } from "@flotilla/once";
import { Annotation, END, getConfig, interrupt, Send, START, StateGraph } from "@langchain/langgraph";
import { z } from "zod";
import { effect } from "../../graphs/side-log.ts";

// Each graph has effects inside `once`: a line in the side log, with the idempotency key that the other side would be told.

const State = Annotation.Root({
  steps: Annotation<number>(),
  orders: Annotation<string[]>(),
  log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }),
});

function pay(what: string): (call: OnceCall) => { receipt: string } {
  return ({ idempotencyKey }) => {
    const solo = process.env["FLOTILLA_SOLO_RUN"] !== undefined;
    effect({ run: getConfig()?.configurable?.["run_id"], paid: what, idempotencyKey, solo });
    return { receipt: `for ${what}` };
  };
}

/** The same node and the same key, in one super-step after the other. */
export const instalments = new StateGraph(State)
  .addNode("pay", async ({ log }) => ({ log: [(await once("pay", pay(`step ${log.length + 1}`))).receipt] }))
  .addEdge(START, "pay")
  .addConditionalEdges("pay", ({ log, steps }) => (log.length < steps ? "pay" : END), ["pay", END])
  .compile();

const payTool = tool(async ({ what }: { what: string }) => (await once("pay", pay(what))).receipt, {
  name: "pay",
  description: "pays",
  schema: z.object({ what: z.string() }),
});

const Order = Annotation.Root({ order: Annotation<string>(), log: State.spec.log });
/** A tool called by a node of a subgraph, then the same key in the next step of the subgraph. */
const order = new StateGraph(Order)
  .addNode("goods", async (state) => ({ log: [await payTool.invoke({ what: `goods of ${state.order}` })] }))
  .addNode("postage", async (state) => ({ log: [(await once("pay", pay(`postage of ${state.order}`))).receipt] }))
  .addEdge(START, "goods")
  .addEdge("goods", "postage")
  .addEdge("postage", END)
  .compile();

/** A task per order at once, each a subgraph, and two keys in one task at the end. */
export const orders = new StateGraph(State)
  .addNode("order", order)
  .addNode("close", async () => {
    const done = await Promise.all(["tax", "fee", "tax"].map((key) => once(key, pay(key))));
    return { log: done.map(({ receipt }) => receipt) };
  })
  .addConditionalEdges(START, ({ orders: all }) => all.map((one) => new Send("order", { order: one })), ["order"])
  .addEdge("order", "close")
  .addEdge("close", END)
  .compile();

/** An effect before a question and one after it, in one node. */
export const approval = new StateGraph(State)
  .addNode("ask", async () => {
    const { receipt } = await once("announce", pay("announcement"));
    const answer = interrupt<unknown, string>("go on?");
    const { receipt: second } = await once("carry out", pay("execution"));
    return { log: [receipt, answer, second] };
  })
  .addEdge(START, "ask")
  .addEdge("ask", END)
  .compile();

/** The effect takes a while in the first worker, whatever its signal says, and gives back who had it. */
export const slow = new StateGraph(State)
  .addNode("pay", async (_state, { configurable }) => {
    try {
      const pid = await once("pay", async (call) => {
        pay("slowly")(call);
        if (process.env["SECOND_WORKER"] === undefined) await delay(5_000);
        return process.pid;
      });
      return { log: [String(pid)] };
    } catch (error) {
      effect({ run: configurable?.["run_id"], refused: (error as Error).name });
      throw error;
    }
  })
  .addNode("after", () => ({ log: ["after"] }))
  .addEdge(START, "pay")
  .addEdge("pay", "after")
  .addEdge("after", END)
  .compile();
