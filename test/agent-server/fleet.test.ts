import { randomUUID } from "node:crypto";
import { Annotation, END, isInterrupted, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { RemoteGraph } from "@langchain/langgraph/remote";
import type { Pool } from "pg";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { linkTo } from "../support/link.ts";
import { Stack, type StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";
import { SDKS } from "./sdk.ts";

// The Agent Server API against two gateways and three workers, some of which die: AGENT_SERVER_API sections 6.3 and 7.5.

let stack: Stack;
let pool: Pool;
let gateways: [StackProcess, StackProcess];
let http: [TestClient, TestClient];
let workers: StackProcess[] = [];
beforeAll(async () => {
  const database = await createTestDatabase();
  ({ pool } = database);
  stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, env: { LEASE_SECS: "2" } });
  gateways = await Promise.all([stack.startGateway(), stack.startGateway()]);
  http = [new TestClient(gateways[0].url), new TestClient(gateways[1].url)];
});
beforeEach(async () => {
  const missing = Array.from({ length: 3 - workers.length }, () =>
    stack.startWorker({ REMOTE_GRAPH_URL: gateways[1].url }),
  );
  workers.push(...(await Promise.all(missing)));
});

const steps = (n: number, more = {}) => ({ inputs: ["in"], steps: n, ...more });

interface RunRow {
  run_id: string;
  status: string;
  attempt: number;
  started_at: string;
  ended_at: string;
}

/** Waits for the worker that holds a running run of the thread, and kills it. */
async function killHolder(thread: string): Promise<void> {
  const worker = await eventually(async () => {
    const { rows } = await pool.query<{ holder: string }>(
      "select holder from runs where thread_id = $1 and status = 'running'",
      [thread],
    );
    return workers.find(({ pid }) => pid === Number(rows[0]?.holder.split(":").at(-2)));
  });
  await worker.kill();
  workers = workers.filter((one) => one !== worker);
}

/** Twenty messages at once on one thread, over both gateways; a worker dies while they are on their way. */
async function storm(strategy: string) {
  const thread = randomUUID();
  await http[0].post("/threads", { thread_id: thread });
  const send = (i: number) =>
    http[i % 2 === 0 ? 0 : 1].post(`/threads/${thread}/runs`, {
      assistant_id: "steps",
      input: { inputs: [`message ${i}`], steps: 4, delay_ms: 40 },
      multitask_strategy: strategy,
    });
  const first = send(0);
  const killed = killHolder(thread);
  const answers = [await first, ...(await Promise.all(Array.from({ length: 19 }, (_, i) => send(i + 1))))];
  await killed;
  const runs = await eventually(
    async () => {
      const { body } = await http[1].get(`/threads/${thread}/runs?limit=100`);
      const all = (body as RunRow[]).toReversed();
      return all.every(({ ended_at }) => ended_at !== null) && all;
    },
    { timeoutMs: 50_000, what: "the end of all runs" },
  );
  const { body: state } = await http[0].get(`/threads/${thread}/state`);
  const { body: row } = await http[0].get(`/threads/${thread}`);
  expect(row).toMatchObject({ status: "idle", values: state.values, interrupts: {} });
  expect(state.next).toEqual([]);
  const accepted = answers.filter(({ status }) => status === 200).map(({ body }) => body.run_id as string);
  const inputs = state.values.inputs as string[];
  expect(new Set(inputs).size, "no message counts twice").toBe(inputs.length);
  return { answers, accepted, runs, inputs, state };
}

function expectNoOverlap(runs: RunRow[]): void {
  const spans = runs
    .filter(({ started_at }) => started_at !== null)
    .map(({ started_at, ended_at }) => [started_at, ended_at] as const)
    .toSorted(([a], [b]) => a.localeCompare(b));
  const overlapping = spans.filter(([started], i) => i > 0 && started < (spans[i - 1]?.[1] ?? ""));
  expect(overlapping, "runs of a thread never overlap").toEqual([]);
}

describe("a storm of messages on one thread, and a worker that dies in it", () => {
  test("enqueue answers each of them, in the order of acceptance, and repeats none", { timeout: 90_000 }, async () => {
    const { accepted, runs, inputs, state } = await storm("enqueue");
    expect(accepted).toHaveLength(20);
    expect(runs.map(({ status }) => status)).toEqual(Array(20).fill("success"));
    expect(runs.some(({ attempt }) => attempt === 2)).toBe(true);
    expect(inputs).toHaveLength(20);
    expect(inputs[0]).toBe("message 0");
    expect(state.values.log).toEqual(Array.from({ length: 80 }, (_, i) => i + 1));
    expectNoOverlap(runs);
  });

  test("interrupt stops those in flight and keeps what they did; the last accepted one is carried out", async () => {
    const { accepted, runs, inputs } = await storm("interrupt");
    expect(accepted).toHaveLength(20);
    expect(runs.map(({ run_id }) => run_id).toSorted()).toEqual(accepted.toSorted());
    expect(runs.at(-1)?.status).toBe("success");
    expect(new Set(runs.map(({ status }) => status))).toEqual(new Set(["success", "interrupted"]));
    const began = runs.filter(({ started_at }) => started_at !== null).length;
    expect(inputs.length).toBeGreaterThan(0);
    expect(inputs.length).toBeLessThanOrEqual(began);
    expectNoOverlap(runs);
  });

  test("rollback erases those in flight with all that they did; the last accepted one is carried out", async () => {
    const { accepted, runs, inputs, state } = await storm("rollback");
    expect(accepted).toHaveLength(20);
    expect(runs.map(({ status }) => status)).toEqual(Array(runs.length).fill("success"));
    expect(inputs, "of the runs that are left").toHaveLength(runs.length);
    expect(state.values.log).toEqual(Array.from({ length: 4 * runs.length }, (_, i) => i + 1));
    const { rows } = await pool.query(
      "select distinct metadata ->> 'run_id' as run_id from checkpoints where thread_id = $1 and metadata ->> 'run_id' is not null",
      [state.checkpoint.thread_id],
    );
    const left = new Set(runs.map(({ run_id }) => run_id));
    expect(rows.filter(({ run_id }) => !left.has(run_id))).toEqual([]);
    expectNoOverlap(runs);
  });

  test("reject takes one at a time: the others are 409 and leave nothing", async () => {
    const { answers, accepted, runs, inputs } = await storm("reject");
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]));
    expect(runs.map(({ run_id, status }) => [run_id, status])).toEqual(accepted.map((id) => [id, "success"]));
    expect(inputs).toHaveLength(accepted.length);
    expectNoOverlap(runs);
  });
});

describe.each(SDKS)("SDK $version, through a network that breaks", ({ connect }) => {
  test("a stream is taken up again by the client itself, and every event comes once", async () => {
    const link = await linkTo(gateways[0].url);
    const client = connect(link.url.replace(/\/$/, ""));
    const { thread_id } = await client.threads.create();
    const seen: { id?: string; event: string; data: unknown }[] = [];
    let runId = "";
    const stream = client.runs.stream(thread_id, "steps", {
      input: steps(20, { delay_ms: 60 }),
      streamMode: ["updates"],
      streamResumable: true,
      onDisconnect: "continue",
      onRunCreated: ({ run_id }) => (runId = run_id),
    });
    for await (const event of stream) {
      seen.push(event);
      if (seen.length === 5 || seen.length === 12) {
        link.cut();
        link.mend();
      }
    }
    const kept: unknown[] = [];
    for await (const event of connect(gateways[1].url).runs.joinStream(thread_id, runId, { lastEventId: "-1" }))
      kept.push(event);
    expect(seen).toEqual(kept);
    expect(seen.filter(({ event }) => event === "updates")).toHaveLength(20);
  });

  test("a run whose worker is killed goes on in the same stream, and its wait is answered", async () => {
    const client = connect(gateways[0].url);
    const { thread_id } = await client.threads.create();
    const logs: number[] = [];
    const stream = client.runs.stream(thread_id, "steps", {
      input: steps(15, { delay_ms: 60 }),
      streamMode: "updates",
      streamResumable: true,
    });
    const killed = killHolder(thread_id);
    for await (const { event, data } of stream)
      if (event === "updates") logs.push(...(data as { step: { log: number[] } }).step.log);
    await killed;
    expect([...new Set(logs)], "a step may show twice, none is missing").toEqual(
      Array.from({ length: 15 }, (_, i) => i + 1),
    );
    const state = await client.threads.getState<{ log: number[]; inputs: string[] }>(thread_id);
    expect(state.values.log).toHaveLength(15);
    expect(state.values.inputs).toEqual(["in"]);
  });
});

describe("RemoteGraph as a subgraph of another graph", () => {
  const State = Annotation.Root({
    question: Annotation<string>(),
    answers: Annotation<unknown[]>(),
    after: Annotation<string>(),
  });
  const around = (url: string) =>
    new StateGraph(State)
      .addNode("remote", new RemoteGraph({ graphId: "ask", url }))
      .addNode("then", () => ({ after: "done" }))
      .addEdge(START, "remote")
      .addEdge("remote", "then")
      .addEdge("then", END)
      .compile({ checkpointer: new MemorySaver() });

  test("its question interrupts the graph around it, and waits on the thread of both", async () => {
    const graph = around(gateways[0].url);
    const config = { configurable: { thread_id: randomUUID() } };
    const asked = await graph.invoke({ question: "q" }, config);
    expect(isInterrupted(asked)).toBe(true);
    expect((await graph.getState(config)).tasks).toMatchObject([
      { name: "remote", interrupts: [{ value: { question: "q" } }] },
    ]);
    const { body: thread } = await http[1].get(`/threads/${config.configurable.thread_id}`);
    expect(thread).toMatchObject({ status: "interrupted", metadata: { graph_id: "ask" } });
  });

  test("its events are shown as those of a subgraph", async () => {
    const nested = new StateGraph(Annotation.Root({ inputs: Annotation<string[]>(), steps: Annotation<number>() }))
      .addNode("remote", new RemoteGraph({ graphId: "steps", url: gateways[1].url }))
      .addEdge(START, "remote")
      .addEdge("remote", END)
      .compile();
    const names: string[] = [];
    const stream = await nested.stream(steps(3), { subgraphs: true, streamMode: ["updates", "custom"] });
    for await (const [namespace, mode] of stream) names.push(`${namespace.length > 0 ? "inner" : "outer"} ${mode}`);
    expect(names.filter((name) => name === "inner updates")).toHaveLength(3);
    expect(names.filter((name) => name === "inner custom")).toHaveLength(3);
    expect(names.at(-1)).toBe("outer updates");
  });

  test("its drawing, subgraphs and schemas are those of the graph", async () => {
    const remote = new RemoteGraph({ graphId: "nested_steps", url: gateways[0].url });
    const drawing = await remote.getGraphAsync();
    expect(Object.keys(drawing.nodes)).toEqual(expect.arrayContaining(["__start__", "inner", "count", "__end__"]));
    const subgraphs: string[] = [];
    for await (const [name] of remote.getSubgraphsAsync()) subgraphs.push(name);
    expect(subgraphs).toEqual(["inner"]);
  });

  test.each(["none", "other"])("a graph on a worker calls one of its own server, on thread: %s", async (on) => {
    const { body } = await http[0].post("/runs/wait", { assistant_id: "call_remote", input: { ...steps(2), on } });
    expect(body.result).toMatchObject({ log: [1, 2] });
  });

  test("one that calls a graph on its own thread and waits for it is told so, and does not wait for ever", async () => {
    const { body } = await http[0].post("/runs/wait", {
      assistant_id: "call_remote",
      input: { ...steps(2), on: "same" },
    });
    expect(body.__error__).toMatchObject({ message: expect.stringContaining("on its own thread") });
  });
});
