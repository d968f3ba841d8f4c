import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MemorySaver } from "@langchain/langgraph";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createLogger } from "../process/logger.ts";
import { GraphRegistry } from "./graph-registry.ts";
import { readGraphConfig } from "./langgraph-json.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "graphs-"));
  symlinkSync(fileURLToPath(new URL("../../../../node_modules", import.meta.url)), join(folder, "node_modules"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(file: string, text: string): void {
  writeFileSync(join(folder, file), text);
}

const BUILDER = `
const State = Annotation.Root({ x: Annotation() });
const builder = new StateGraph(State).addNode("n", () => ({ x: "ran" })).addEdge(START, "n").addEdge("n", END);`;
const ESM = `import { Annotation, END, START, StateGraph } from "@langchain/langgraph";${BUILDER}`;

async function load(graphs: Record<string, unknown>, more: object = {}): Promise<GraphRegistry> {
  put("langgraph.json", JSON.stringify({ graphs, ...more }));
  return GraphRegistry.load(await readGraphConfig(join(folder, "langgraph.json")), createLogger("silent", {}));
}

test("an export may be a compiled graph, a builder or a factory", async () => {
  put("package.json", '{"type":"module"}');
  put(
    "a.mjs",
    `${ESM}\nexport const compiled = builder.compile(); export { builder }; export const factory = async () => builder; export default builder;`,
  );
  const registry = await load({
    compiled: "./a.mjs:compiled",
    builder: "./a.mjs:builder",
    factory: { path: "./a.mjs:factory", description: "made per run" },
    whole: "./a.mjs",
  });
  for (const id of registry.ids) {
    const graph = await registry.bind(id, new MemorySaver());
    const result = await graph.invoke({}, { configurable: { thread_id: "t" } });
    expect([id, result]).toEqual([id, { x: "ran" }]);
  }
  expect(registry.describe()[2]).toEqual({ name: "factory", description: "made per run" });
});

test("a graph that cannot be loaded is named and does not take the others down", async () => {
  put("a.mjs", `${ESM}\nexport const graph = builder.compile();`);
  put("throws.mjs", 'throw new Error("no key");');
  const registry = await load({
    good: "./a.mjs:graph",
    bad: "./throws.mjs:graph",
    missing: "./a.mjs:nothing",
    gone: "./gone.mjs:graph",
  });
  expect(
    registry
      .describe()
      .filter((graph) => graph.error !== undefined)
      .map((graph) => graph.name),
  ).toEqual(["bad", "missing", "gone"]);
  const bad = await registry.bind("bad", new MemorySaver()).catch((error: unknown) => error as Error);
  expect(bad).toMatchObject({
    message: expect.stringContaining('Graph "bad" could not be loaded'),
    cause: expect.stringMatching(/throws\.mjs.*no key/),
  });
  const missing = await registry.bind("missing", new MemorySaver()).catch((error: unknown) => error as Error);
  expect(missing).toMatchObject({ cause: expect.stringMatching(/no export "nothing"; it exports: graph/) });
  expect(
    (await (await registry.bind("good", new MemorySaver())).invoke({}, { configurable: { thread_id: "t" } })).x,
  ).toBe("ran");
  expect(() => registry.require("unknown")).toThrow(/good, bad, missing, gone/);
});

test("binding does not change the shared graph: two savers at once keep apart", async () => {
  put("a.mjs", `${ESM}\nexport const graph = builder.compile();`);
  const registry = await load({ g: "./a.mjs:graph" });
  const savers = [new MemorySaver(), new MemorySaver()];
  const graphs = await Promise.all(savers.map((saver) => registry.bind("g", saver)));
  const config = { configurable: { thread_id: "t" } };
  await graphs[0]?.invoke({}, config);
  expect((await graphs[1]?.getState(config))?.values).toEqual({});
});

test.each([
  ["not JSON", "{", /is not JSON/],
  ["no graphs", "{}", /graphs/],
  ["a Python project", '{"graphs":{},"python_version":"3.11"}', /LangGraph\.js graphs only/],
  ["an odd graph id", '{"graphs":{"a/b":"./a.mjs:graph"}}', /graph id/],
])("a langgraph.json with %s is refused with its path", async (_name, text, message) => {
  put("langgraph.json", text);
  await expect(readGraphConfig(join(folder, "langgraph.json"))).rejects.toThrow(message);
  await expect(readGraphConfig(join(folder, "langgraph.json"))).rejects.toThrow(folder);
});

test("env may be a file or a map, and a missing file is no failure", async () => {
  put(".env", "A=1\n# comment\nB='two words'\n");
  const envOf = async (env: unknown) => {
    put("langgraph.json", JSON.stringify({ graphs: {}, env }));
    return (await readGraphConfig(join(folder, "langgraph.json"))).env;
  };
  expect(await envOf(".env")).toEqual({ A: "1", B: "two words" });
  expect(await envOf({ C: 3 })).toEqual({ C: "3" });
  expect(await envOf(".env.missing")).toEqual({});
  expect(await envOf(["NAME"])).toEqual({});
});
