import { expect, test } from "vitest";
import { describeResult, narrate } from "./narration.ts";

function told(event: string, data: unknown): string | undefined {
  return narrate({ event, data: JSON.stringify(data), id: "1-1" });
}

test("a node that has finished with a document is told in a line", () => {
  const findings = { 0: { name: "a.pdf", type: "invoice", confidence: 0.96, problems: ["sum: off by 1"] } };
  expect(told("updates", { classify: { findings } })).toMatch(/^a\.pdf +classify +✔ invoice, 96 % {2}1 problem/);
});

test("nodes that ran side by side get a line each", () => {
  const one = (name: string) => ({ findings: { 0: { name } } });
  expect(told("updates", { intake: [one("a"), one("b")] })?.split("\n")).toHaveLength(2);
});

test("what an agent says about its work is told, that it has started is not", () => {
  expect(told("custom", { document: "a.pdf", stage: "extract", message: "found 9 fields" })).toContain(
    "found 9 fields",
  );
  expect(told("custom", { document: "a.pdf", stage: "extract", message: "started" })).toBeUndefined();
});

test("how far the counter is can be seen", () => {
  expect(told("custom", { count: 15, steps_left: 45 })).toMatch(/^█{8}░{22} step 15 of 60$/);
});

test("a new attempt is told, the first one is not", () => {
  expect(told("metadata", { attempt: 1 })).toBeUndefined();
  expect(told("metadata", { attempt: 2 })).toContain("another worker goes on");
});

test("the result of another graph is shown as it is", () => {
  expect(describeResult({ answer: 42 })).toBe('{\n  "answer": 42\n}');
});
