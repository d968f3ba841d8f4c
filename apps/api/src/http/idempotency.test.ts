import { expect, test } from "vitest";
import { canonicalJson } from "./idempotency.ts";

test("the order of keys does not matter, that of lists does", () => {
  expect(canonicalJson({ b: [1, { d: 1, c: 2 }], a: null })).toBe('{"a":null,"b":[1,{"c":2,"d":1}]}');
  expect(canonicalJson([1, 2])).not.toBe(canonicalJson([2, 1]));
});

test("values of different types never look alike", () => {
  const texts = [null, 0, false, "", "0", [], {}, [null], "null", { a: undefined, b: 1 }].map(canonicalJson);
  expect(new Set(texts).size).toBe(texts.length);
  expect(canonicalJson({ a: undefined })).toBe("{}");
});
