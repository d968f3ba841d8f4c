import { expect, test } from "vitest";
import { toJsonb } from "./jsonb.ts";

const through = (value: unknown): unknown => JSON.parse(toJsonb(value));

test.each([
  ["a\u0000b", "a\ufffdb"],
  ["\ud800", "\ufffd"],
  ["\udc00x", "\ufffdx"],
  ["\u0000\u0000", "\ufffd\ufffd"],
])("%j becomes %j", (before, after) => {
  expect(through({ [before]: [before] })).toEqual({ [after]: [after] });
});

test.each(["😀", "a\\u0000b", "\\", "\\\\u0000", "\\\\\\ud800", '"\n\t', "ü", ""])("%j stays as it is", (text) => {
  expect(through({ a: text })).toEqual({ a: text });
});

test("a backslash before a NUL is kept and the NUL replaced", () => {
  expect(through("\\\u0000")).toBe("\\\ufffd");
});

test("undefined becomes null", () => {
  expect(toJsonb(undefined)).toBe("null");
});
