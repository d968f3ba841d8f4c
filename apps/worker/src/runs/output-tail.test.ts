import { expect, test } from "vitest";
import { OutputTail } from "./output-tail.ts";

function tailOf(...chunks: (string | Buffer)[]): OutputTail {
  const tail = new OutputTail();
  for (const chunk of chunks) tail.push(Buffer.from(chunk));
  return tail;
}

test("the last fifty lines are kept, in order, without empty ones, colours and control characters", () => {
  const printed = Array.from({ length: 70 }, (_, i) => `line ${i}\r\n\n`).join("");
  const lines = tailOf(printed, "\u001b[31mred\u001b[0m \0 \u0007 end").lines([]);
  expect(lines).toHaveLength(50);
  expect([lines[0], lines.at(-2), lines.at(-1)]).toEqual(["line 21", "line 69", "red   end"]);
});

test("a character that comes in two chunks is one", () => {
  const [head, rest] = [Buffer.from("é").subarray(0, 1), Buffer.from("é").subarray(1)];
  expect(tailOf(head, rest).lines([])).toEqual(["é"]);
});

test("eight kilobytes are kept of however much, and a long line is cut", () => {
  const lines = tailOf(...Array.from({ length: 400 }, () => `${"é".repeat(1_500)}\n`)).lines([]);
  expect(lines.length).toBeGreaterThan(1);
  expect(Buffer.byteLength(lines.join("\n"))).toBeLessThanOrEqual(8 * 1024);
  expect(lines.every((line) => line.length === 1_001)).toBe(true);
});

test("of a secret nothing is kept, not even where the output was cut in its middle", () => {
  const secret = Array.from({ length: 1_500 }, (_, i) => `s3cret${i}`).join(); // 15 KB
  const tail = tailOf(secret.repeat(12), "\nthe end");
  expect(tail.lines([secret]).join("\n")).not.toContain("s3cret");
  expect(tail.lines([secret]).at(-1)).toBe("the end");
});
