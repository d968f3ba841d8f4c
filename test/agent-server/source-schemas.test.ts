import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startStack, type Stack, type StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

// Graphs in a folder of their own, so that their sources can change.

const STATE = `import { Annotation } from "@langchain/langgraph";
export const State = Annotation.Root({ topic: Annotation<string>() });`;
const GRAPH = `import { END, START, StateGraph } from "@langchain/langgraph";
import { State } from "./state.ts";
const builder = new StateGraph(State).addNode("n", () => ({})).addEdge(START, "n").addEdge("n", END);
export const graph = builder.compile();
export const factory = async () => builder;
export const anything: any = graph;`;

// The compiler steps back for everything else on the machine.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
let database: TestDatabase;
let stack: Stack;
let gateway: StackProcess;
let client: TestClient;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "graphs-"));
  symlinkSync(fileURLToPath(new URL("../../node_modules", import.meta.url)), join(folder, "node_modules"));
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  writeFileSync(join(folder, "state.ts"), STATE);
  writeFileSync(join(folder, "graph.ts"), GRAPH);
  const exports = ["graph", "factory", "anything"].map((name) => [name, `./graph.ts:${name}`]);
  writeFileSync(join(folder, "langgraph.json"), JSON.stringify({ graphs: Object.fromEntries(exports) }));
  database = await createTestDatabase();
  const config = join(folder, "langgraph.json");
  ({ stack, gateway } = await startStack({ databaseUrl: database.url, config, workers: 0 }));
  client = new TestClient(gateway.url);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const schemasOf = async (graph: string, from = client) => (await from.get(`/assistants/${graph}/schemas`)).body;

/** Processes of a gateway that read a source now. */
function readersOf({ pid }: StackProcess): number[] {
  try {
    return execFileSync("pgrep", ["-P", String(pid), "-f", "derive-schemas-cli"], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map(Number);
  } catch {
    return []; // there is none
  }
}

const topic = { type: "object", properties: { topic: { type: "string" } } };

test("a state of types alone is read from the source, by one process at a time, and no request waits for it", async () => {
  const began = performance.now();
  const early = await Promise.all(["graph", "graph", "factory", "factory"].map((graph) => schemasOf(graph)));
  expect(performance.now() - began).toBeLessThan(5_000);
  for (const schemas of early) expect(schemas).toMatchObject({ context_schema: null, config_schema: null });

  let most = 0;
  for (const graph of ["graph", "factory"]) {
    const schemas = await eventually(
      async () => {
        most = Math.max(most, readersOf(gateway).length);
        const found = await schemasOf(graph);
        return found.state_schema !== null && found;
      },
      { timeoutMs: 100_000, what: `the schemas of ${graph}` },
    );
    expect(schemas).toMatchObject({
      graph_id: graph,
      state_schema: { ...topic, required: ["topic"] },
      output_schema: { ...topic, required: ["topic"] },
      input_schema: topic,
      context_schema: null,
    });
    expect(schemas.input_schema).not.toHaveProperty("required");
  }
  expect(most).toBe(1);
});

test("what was read is kept in Postgres: a gateway that starts anew has it at once", async () => {
  await database.pool.query(
    `update graph_source_schemas set schemas = jsonb_set(schemas, '{state_schema}', '{"title":"kept"}') where export_name = 'graph'`,
  );
  const second = await stack.startGateway();
  for (const url of [gateway.url, second.url]) {
    expect(await schemasOf("graph", new TestClient(url))).toMatchObject({ state_schema: { title: "kept" } });
  }
  expect(readersOf(second)).toEqual([]);
});

test("a change in a file that the graph imports is noticed", async () => {
  writeFileSync(join(folder, "state.ts"), STATE.replace("topic: Annotation<string>()", "pages: Annotation<number>()"));
  const pages = { type: "object", properties: { pages: { type: "number" } }, required: ["pages"] };
  const isNew = async () => (await schemasOf("graph")).state_schema?.properties?.pages !== undefined;
  await eventually(isNew, { timeoutMs: 100_000, what: "the schemas of the new source" });
  expect((await schemasOf("graph")).state_schema).toMatchObject(pages);
});

test("a source that says nothing, or cannot be read within the limits, gives no schema and is not tried again at once", async () => {
  await schemasOf("anything");
  const child = await eventually(() => readersOf(gateway)[0], { what: "the process that reads the source" });
  process.kill(child, "SIGKILL");
  await eventually(async () => {
    const { rows } = await database.pool.query(
      "select schemas from graph_source_schemas where export_name = 'anything'",
    );
    return rows.length === 1 && rows[0].schemas === null;
  });
  expect(await schemasOf("anything")).toMatchObject({ graph_id: "anything", state_schema: null, input_schema: null });
  expect(readersOf(gateway)).toEqual([]);
  await database.pool.query("update graph_source_schemas set derived_at = now() - interval '1 hour'");
  await eventually(
    async () => {
      await schemasOf("anything");
      const { rows } = await database.pool.query(
        "select schemas from graph_source_schemas where export_name = 'anything'",
      );
      return rows[0].schemas !== null;
    },
    { timeoutMs: 100_000 },
  );
  expect(await schemasOf("anything")).toMatchObject({ state_schema: null, input_schema: null, output_schema: null });
});
