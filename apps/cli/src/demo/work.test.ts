import { expect, test } from "vitest";
import { slowWork } from "./work.ts";

const counted = Array.from({ length: 60 }, (_, index) => index + 1);

test("the slow demo says that no step is missing or doubled when that is so, and fails when it is not", () => {
  const { describe } = slowWork();
  expect(describe({ log: counted })).toContain("no step is missing, and none is there twice");
  expect(() => describe({ log: counted.slice(1) })).toThrow("the steps should be 1 to 60");
  expect(() => describe({ log: [1, ...counted] })).toThrow("the steps should be 1 to 60");
});
