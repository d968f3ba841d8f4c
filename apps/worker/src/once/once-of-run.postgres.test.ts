import { setTimeout as delay } from "node:timers/promises";
import { Annotation, END, entrypoint, START, StateGraph, task } from "@langchain/langgraph";
import { afterAll, beforeAll, expect, test } from "vitest";
import { once } from "@flotilla/once";
import { setHost } from "@flotilla/once/host";
import type { Durability } from "@flotilla/shared/runs/run";
import { noFailpoint } from "@flotilla/shared/process/failpoints";
import { createTestDatabase, type TestDatabase } from "../../../../test/support/database.ts";
import { holdNewRun, type HeldSaver } from "../../../../test/failure/support/held-saver.ts";
import { WorkerOnceHost } from "./once-host.ts";
import { OnceOfRun } from "./once-of-run.ts";

const host = new WorkerOnceHost();
let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
  host.install();
});
afterAll(() => setHost(undefined));

type Node = () => Promise<unknown>;

const State = Annotation.Root({ result: Annotation<unknown>() });
interface How {
  durability?: Durability;
  /** The node is in a subgraph, which has this memory. */
  subgraph?: "shared" | "none";
}

/** Executes a graph of one node as a new run. */
async function execute(node: Node, how: How = {}): Promise<unknown> {
  return executeOn(await holdNewRun(database.pool), node, how);
}

async function executeOn(held: HeldSaver, node: Node, { durability = "sync", subgraph }: How = {}): Promise<unknown> {
  const inner = new StateGraph(State)
    .addNode("node", async () => ({ result: await node() }))
    .addEdge(START, "node")
    .addEdge("node", END);
  const graph =
    subgraph === undefined
      ? inner
      : new StateGraph(State)
          .addNode("inner", inner.compile(subgraph === "shared" ? {} : { checkpointer: false }))
          .addEdge(START, "inner")
          .addEdge("inner", END);
  const config = { configurable: { thread_id: held.run.thread_id, run_id: held.run.run_id }, durability };
  using _open = openOn(held, durability);
  const { result } = await graph.compile({ checkpointer: held.saver }).invoke({ result: null }, config);
  return result;
}

function openOn({ run, saver }: HeldSaver, durability: Durability = "sync"): Disposable {
  const { signal } = new AbortController();
  const isStored = (checkpointId: string) => saver.isStored(checkpointId);
  const ofRun = new OnceOfRun({ pool: database.pool, run, durability, signal, isStored, failpoint: noFailpoint });
  return host.open(run.run_id, ofRun);
}

test("calls with one key at the same time are one call, and each gets a value of its own", async () => {
  let calls = 0;
  const slowly = async () => {
    await delay(20);
    return { call: ++calls };
  };
  const [a, b] = (await execute(() => Promise.all([once("k", slowly), once("k", slowly)]))) as object[];
  expect(calls).toBe(1);
  expect(a).toEqual({ call: 1 });
  expect(b).toEqual(a);
});

test("a function that throws stores nothing and may be called again, under the same key", async () => {
  const keys: string[] = [];
  const flaky = () =>
    once("k", ({ idempotencyKey }) => {
      keys.push(idempotencyKey);
      if (keys.length === 1) throw new RangeError("not yet");
      return "done";
    });
  const result = await execute(async () => {
    await expect(flaky()).rejects.toThrow(RangeError);
    return [await flaky(), await flaky()];
  });
  expect(result).toEqual(["done", "done"]);
  expect(keys.length).toBe(2);
  expect(keys[0]).toBe(keys[1]);
});

test("what is given back is what is stored, on the first call as well", async () => {
  const value = { when: new Date(0), nothing: undefined, set: new Set([1]), lc: 1, text: "\0" };
  const seen: unknown[] = [];
  const call = async () => seen.push(await once("k", () => value));
  await execute(async () => {
    await call();
    await call();
  });
  expect(seen[0]).toEqual({ ...value, when: "1970-01-01T00:00:00.000Z" });
  expect(seen[1]).toEqual(seen[0]);
});

test("a result that is too large, or no JSON, is refused with its reason and not stored", async () => {
  let calls = 0;
  await execute(async () => {
    await expect(once("k", () => (calls++, "x".repeat(1024 * 1024)))).rejects.toThrow("at most 1048576 are");
    await expect(once("k", () => (calls++, 5n))).rejects.toThrow("is no JSON");
    expect(await once("k", () => (calls++, "small"))).toBe("small");
  });
  expect(calls).toBe(3);
});

test.each<Durability>(["sync", "async"])(
  "with durability %s, an effect begins after what its key hangs on is stored",
  async (durability) => {
    const { pool } = database;
    const held = await holdNewRun(pool);
    const stored = () => pool.query("select checkpoint_ns from checkpoints where thread_id = $1", [held.run.thread_id]);
    const namespaces = (await executeOn(
      held,
      () => once("k", async () => (await stored()).rows.map((row: { checkpoint_ns: string }) => row.checkpoint_ns)),
      { durability, subgraph: "shared" },
    )) as string[];
    expect(namespaces.filter((ns) => ns === "").length).toBe(2); // the input, and the step that leads to the node
    expect(namespaces.filter((ns) => ns.startsWith("inner:")).length).toBe(2);
  },
);

test("where a repeat could not be told from another execution, it is refused before anything happens", async () => {
  const effect = () => expect.unreachable();
  await expect(execute(() => once("k", effect), { subgraph: "none" })).rejects.toThrow("Compile it without");
  const exit = { durability: "exit", subgraph: "shared" } as const;
  await expect(execute(() => once("k", effect), exit)).rejects.toThrow('"sync" or "async"');
  await expect(once("k", effect)).rejects.toThrow("outside of a node");
  const { run } = await holdNewRun(database.pool);
  const late = {
    configurable: { run_id: run.run_id, checkpoint_ns: "n:1", checkpoint_map: {}, __pregel_task_id: "1" },
  };
  await expect(once("k", effect, late)).rejects.toThrow("after its run had stopped");
});

test("who goes back to an older checkpoint does it again, as something new", async () => {
  const held = await holdNewRun(database.pool);
  const keys: string[] = [];
  const graph = new StateGraph(State)
    .addNode("node", async () => ({ result: await once("k", ({ idempotencyKey }) => keys.push(idempotencyKey)) }))
    .addEdge(START, "node")
    .addEdge("node", END)
    .compile({ checkpointer: held.saver });
  const configurable = { thread_id: held.run.thread_id, run_id: held.run.run_id };
  using _open = openOn(held);
  await graph.invoke({ result: null }, { configurable });
  for await (const state of graph.getStateHistory({ configurable })) {
    if (state.next[0] !== "node") continue;
    const again = { configurable: { ...configurable, ...state.config.configurable } };
    expect(await graph.invoke(null, again)).toEqual({ result: 2 });
    break;
  }
  expect(new Set(keys).size).toBe(2);
});

test("tasks of the functional API have their own results", async () => {
  const held = await holdNewRun(database.pool);
  const keys: string[] = [];
  const pay = task("pay", (what: string) =>
    once("k", ({ idempotencyKey }) => {
      keys.push(idempotencyKey);
      return what;
    }),
  );
  const flow = entrypoint({ name: "flow", checkpointer: held.saver }, (all: string[]) => Promise.all(all.map(pay)));
  using _open = openOn(held);
  const config = {
    configurable: { thread_id: held.run.thread_id, run_id: held.run.run_id },
    durability: "sync" as const,
  };
  expect(await flow.invoke(["a", "b"], config)).toEqual(["a", "b"]);
  expect(new Set(keys).size).toBe(2);
});
