import ts from "typescript-6";
import { expect, test } from "vitest";
import { schemaOfType } from "./type-schema.ts";

const options: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  types: [],
  lib: ["lib.es2023.d.ts"],
  target: ts.ScriptTarget.ES2022,
};
const host = ts.createCompilerHost(options);
const { getSourceFile, readFile } = host;
const libraries = new Map<string, ts.SourceFile | undefined>();
let source = "";
host.readFile = (path) => (path === "/t.ts" ? source : readFile(path));
host.getSourceFile = (path, language) => {
  if (path === "/t.ts") return getSourceFile(path, language);
  if (!libraries.has(path)) libraries.set(path, getSourceFile(path, language));
  return libraries.get(path);
};

/** The schema of the type `T` of a text. */
function schemaOf(text: string): unknown {
  source = `export {};\n${text}`;
  const program = ts.createProgram({ rootNames: ["/t.ts"], options, host });
  let schema: unknown;
  ts.forEachChild(program.getSourceFile("/t.ts") as ts.Node, (node) => {
    if (!ts.isTypeAliasDeclaration(node) || node.name.text !== "T") return;
    schema = schemaOfType(program, program.getTypeChecker().getTypeAtLocation(node.name));
  });
  if (schema === null) return null;
  const { $schema: _dialect, ...rest } = schema as Record<string, unknown>;
  return rest;
}

const person = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };

test.each([
  ["type T = string", { type: "string" }],
  ["type T = boolean", { type: "boolean" }],
  ["type T = boolean | string", { anyOf: [{ type: "string" }, { type: "boolean" }] }],
  ["type T = 'a' | 'b' | 3", { enum: ["a", "b", 3] }],
  ["type T = 'a' | undefined", { const: "a" }],
  ["type T = string | null", { anyOf: [{ type: "null" }, { type: "string" }] }],
  ["type T = string & { brand: 1 }", { type: "string" }],
  ["type T = [string, number]", { type: "array", prefixItems: [{ type: "string" }, { type: "number" }] }],
  ["type T = readonly string[]", { type: "array", items: { type: "string" } }],
  ["type T = { [key: string]: number }", { type: "object", properties: {}, additionalProperties: { type: "number" } }],
  ["type T = Record<string, number>", { type: "object", properties: {}, additionalProperties: { type: "number" } }],
  ["type T = Partial<{ name: string }>", { type: "object", properties: { name: { type: "string" } } }],
  [
    "type T = { name: string } & { age?: number }",
    { ...person, properties: { ...person.properties, age: { type: "number" } } },
  ],
  ["type T = Date", { type: "string", format: "date-time" }],
  ["type T = Map<string, number> | Uint8Array", { anyOf: [{}, {}] }],
  ["type T = { name: string; say(): void; run: () => void }", person],
  [
    "type T = {\n /** Who. */\n name: string }",
    { ...person, properties: { name: { type: "string", description: "Who." } } },
  ],
  ["enum E { A = 'a', B = 'b' } type T = E", { enum: ["a", "b"] }],
  ["type T = any", null],
  ["type T = never", null],
])("%s", (text, schema) => {
  expect(schemaOf(text)).toEqual(schema);
});

test("a type that contains itself refers to its definition", () => {
  const tree = {
    type: "object",
    properties: { kids: { type: "array", items: { $ref: "#/$defs/Tree" } } },
    required: ["kids"],
  };
  expect(schemaOf("interface Tree { kids: Tree[] } type T = Tree")).toEqual({
    $ref: "#/$defs/Tree",
    $defs: { Tree: tree },
  });
});

test("a type that makes a new one at every level comes to an end", () => {
  const text = "interface Grow<X> { left: Grow<[X]>; right: Grow<X[]> } type T = Grow<string>";
  expect(JSON.stringify(schemaOf(text)).length).toBeLessThan(500_000);
});

test("messages are called so, alone, in lists and as what may become one", () => {
  const messages = { langgraph_type: "messages" };
  const text = "declare class BaseMessage { content: string }";
  expect(schemaOf(`${text} type T = BaseMessage[]`)).toEqual(messages);
  expect(schemaOf(`${text} type T = BaseMessage | string | (BaseMessage | string)[]`)).toEqual(messages);
  expect(schemaOf(`${text} type T = { messages?: BaseMessage[] }`)).toEqual({
    type: "object",
    properties: { messages },
  });
});
