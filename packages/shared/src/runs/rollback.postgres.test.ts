import { randomUUID } from "node:crypto";
import { Annotation, Command, END, interrupt, START, StateGraph } from "@langchain/langgraph";
import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../../../test/support/database.ts";
import { holdNewRun } from "../../../../test/failure/support/held-saver.ts";
import type { CompiledGraph } from "../graphs/graph-registry.ts";
import { ThreadSaver } from "../graphs/checkpoints/thread-saver.ts";
import type { Pool } from "../postgres/pool.ts";
import { acceptRun, newRun } from "../../../../test/failure/support/runs.ts";
import { cancelRun, createRun, settleRun } from "./run-queries.ts";

const State = Annotation.Root({ log: Annotation<string[]>({ reducer: (a, b) => a.concat(b), default: () => [] }) });
const builder = new StateGraph(State)
  .addNode("ask", () => ({ log: [`${interrupt("first?")} ${interrupt("second?")}`] }))
  .addNode("after", () => ({ log: ["after"] }))
  .addEdge(START, "ask")
  .addEdge("ask", "after")
  .addEdge("after", END);
const graphOn = (checkpointer: BaseCheckpointSaver) => builder.compile({ checkpointer }) as unknown as CompiledGraph;
const thread = { configurable: { thread_id: "t" } };

/** Everything the checkpoint tables hold of the thread, without the order of storage. */
async function rowsOf(pool: Pool): Promise<unknown> {
  const { rows } = await pool.query(`select
    (select json_agg(to_jsonb(c) - 'seq' order by c.seq) from checkpoints c) as checkpoints,
    (select json_agg(w order by checkpoint_id, task_id, idx) from checkpoint_writes w) as writes,
    (select json_agg(b order by channel, version) from checkpoint_blobs b) as blobs,
    (select count(*) from overwritten_writes) + (select count(*) from overwritten_checkpoints) as images`);
  return rows[0];
}

/** One run of the thread: `work`, then its end; with "rollback" it never happened. */
async function oneRun(
  pool: Pool,
  end: "success" | "rollback",
  work: (graph: CompiledGraph) => Promise<unknown>,
): Promise<string> {
  const { run, saver } = await holdNewRun(pool, { threadId: "t" });
  await work(graphOn(saver));
  if (end === "rollback")
    await cancelRun(pool, { tenantId: "default", threadId: "t", runId: run.run_id, action: "rollback" });
  await settleRun(pool, run.run_id, run.attempt, { outcome: "success" });
  return run.run_id;
}
const questions = async (pool: Pool) => {
  const state = await graphOn(new ThreadSaver(pool, "default")).getState(thread);
  return state.tasks.flatMap((task) => task.interrupts.map((one) => [one.id, one.value]));
};
const answer = async (pool: Pool, value: string) => {
  const [question] = await questions(pool);
  return new Command({ resume: { [String(question?.[0])]: value } });
};

test("a rolled-back run leaves nothing behind, not even blobs", async () => {
  const { pool } = await createTestDatabase();
  await oneRun(pool, "success", (graph) => graph.invoke({ log: ["in"] }, thread));
  const before = await rowsOf(pool);
  await oneRun(pool, "rollback", (graph) => graph.invoke({ log: ["never happened"] }, thread));
  expect(await rowsOf(pool)).toEqual(before);
  const { rows } = await pool.query("select count(*)::int as n from runs");
  expect(rows).toEqual([{ n: 1 }]);
});

test("a rolled-back answer does not count: the question waits again, as it was", async () => {
  const { pool } = await createTestDatabase();
  await oneRun(pool, "success", (graph) => graph.invoke({ log: ["in"] }, thread));
  const [before, asked] = [await rowsOf(pool), await questions(pool)];
  expect(asked).toHaveLength(1);

  const resume = await answer(pool, "yes");
  await oneRun(pool, "rollback", (graph) => graph.invoke(resume, thread)); // stops at the second question
  expect(await rowsOf(pool)).toEqual(before);
  expect(await questions(pool)).toEqual(asked);

  await oneRun(pool, "success", (graph) => graph.invoke(null, thread)); // an answer left behind would let it pass
  expect(await questions(pool)).toMatchObject(asked);
});

test("a rollback restores the answer and the question of another run that it overwrote", async () => {
  const { pool } = await createTestDatabase();
  await oneRun(pool, "success", (graph) => graph.invoke({ log: ["in"] }, thread));
  const first = await answer(pool, "first answer");
  await oneRun(pool, "success", (graph) => graph.invoke(first, thread));
  const [before, asked] = [await rowsOf(pool), await questions(pool)];
  expect(asked.map(([, value]) => value)).toEqual(["second?"]);

  const second = await answer(pool, "second answer");
  await oneRun(pool, "rollback", (graph) => graph.invoke(second, thread)); // finishes, and overwrites rows of both runs before
  expect(await rowsOf(pool)).toEqual(before);

  const again = await answer(pool, "another answer");
  await oneRun(pool, "success", (graph) => graph.invoke(again, thread));
  const state = await graphOn(new ThreadSaver(pool, "default")).getState(thread);
  expect(state.values).toEqual({ log: ["in", "first answer another answer", "after"] });
});

test("a rollback of a fork leaves the branch it came from", async () => {
  const { pool } = await createTestDatabase();
  await oneRun(pool, "success", (graph) => graph.invoke({ log: ["in"] }, thread));
  const origin = (await new ThreadSaver(pool, "default").getTuple(thread))?.config;
  const before = await rowsOf(pool);
  await oneRun(pool, "rollback", (graph) =>
    graph.invoke({ log: ["fork"] }, { configurable: { ...origin?.configurable } }),
  );
  expect(await rowsOf(pool)).toEqual(before);
});

// Found by the fault campaign, seed 77: a gateway that had hung sent what its client had said again elsewhere, and that was taken back.
test("a submission that comes again after its run was rolled back does not make it anew", async () => {
  const { pool } = await createTestDatabase();
  const submission = newRun({ threadId: "t", idempotency: { key: "k", requestHash: "h" } });
  const { run } = await acceptRun(pool, submission);
  await cancelRun(pool, { tenantId: "default", threadId: "t", runId: run.runId, action: "rollback" });
  expect(await createRun(pool, { ...submission, runId: randomUUID() })).toMatchObject({
    outcome: "replayed",
    run_id: run.runId,
  });
  const { rows } = await pool.query("select count(*)::int as n from runs");
  expect(rows).toEqual([{ n: 0 }]);
});
