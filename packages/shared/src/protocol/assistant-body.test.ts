import { expect, test } from "vitest";
import { assistantDefaults, xray } from "./assistant-body.ts";

test("LANGGRAPH_CONFIG gives each graph a config and a context", () => {
  const text = '{"a":{"configurable":{"model":"m"},"tags":["t"],"own":1,"context":{"c":1}},"b":{}}';
  expect(JSON.parse(JSON.stringify(assistantDefaults.parse(text)))).toEqual({
    a: { config: { configurable: { model: "m" }, tags: ["t"], own: 1 }, context: { c: 1 } },
    b: { config: {}, context: {} },
  });
});

test.each([
  ["{", /is not JSON/],
  ["[]", /must be a JSON object/],
  ['{"a":3}', /object/],
  ['{"a":{"configurable":[]}}', /configurable/],
  ['{"a":{"context":"text"}}', /context/],
])("LANGGRAPH_CONFIG=%s is refused", (text, message) => {
  const { error } = assistantDefaults.safeParse(text);
  expect(error?.message).toMatch(message);
});

test.each([
  ["true", true],
  ["YES", true],
  ["false", false],
  ["", false],
  ["0", 0],
  ["1", 1],
  ["3", 3],
])("xray=%s is read as %s", (text, value) => {
  expect(xray.parse(text)).toBe(value);
});
