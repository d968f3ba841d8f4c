import { expect, test } from "vitest";
import { graph } from "../graph.ts";
import { MAX_BYTES, MAX_TEXT, takeIn } from "./intake.ts";

const silent = () => undefined;
const INVOICE = "Invoice no. 1\nDate: 12.03.2025\nAcme Ltd\nBill to: B plc\nTotal 5.00 EUR\n";
/** Enough to let a search that is not linear run for minutes. */
const LONG = 190_000;

test.each([
  ["<p>Total</p><table><tr><td>a</td><td>b</td></tr></table>", "html", "Total\n\na | b"],
  ["# Title\n\n| a | b |\n|---|---|\n| 1 | **2** |", "markdown", "# Title\n\na | b\n1 | 2"],
  ["plain words", "text", "plain words"],
])("%s is read as %s", async (text, format, expected) => {
  expect(await takeIn({ name: "a", text }, silent)).toEqual({ text: expected, format, problems: [] });
});

test("the content decides about the format, not the declared media type", async () => {
  const base64 = Buffer.from("<html><body><h1>Hello</h1></body></html>").toString("base64");
  expect(await takeIn({ name: "a", base64, media_type: "text/plain" }, silent)).toMatchObject({
    text: "# Hello",
  });
});

test("text in Windows-1252 and UTF-16 is decoded", async () => {
  const western = Buffer.from([0x4d, 0xfc, 0x6c, 0x6c, 0x65, 0x72]).toString("base64");
  const wide = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from("Müller", "utf16le")]).toString("base64");
  expect(await takeIn({ name: "a", base64: western }, silent)).toMatchObject({ text: "Müller" });
  expect(await takeIn({ name: "a", base64: wide }, silent)).toMatchObject({ text: "Müller" });
});

test("what is too large is refused, and what is too long is cut and says so", async () => {
  const large = await takeIn({ name: "a", text: "x".repeat(MAX_BYTES + 1) }, silent);
  expect(large.problems?.[0]).toContain("document_too_large");
  const long = await takeIn({ name: "a", text: "word ".repeat(MAX_TEXT / 4) }, silent);
  expect(long.text).toHaveLength(MAX_TEXT);
  expect(long.problems?.[0]).toContain("text_truncated");
});

test.each([
  ["digits", "1234567890"],
  ["capitals", "Alpha Beta Gamma And The Of "],
  ["groups of digits", "123.456.789,"],
  ["unfinished links", "[a]("],
  ["spaces", " ".repeat(LONG)],
  ["commas", "a, "],
  ["marks of headings", "# "],
  ["rulers", "---\n"],
  ["fences", "```\n"],
])("a long row of %s does not hold up the process", { timeout: 10_000 }, async (_, piece) => {
  const text = `${INVOICE}a${piece.repeat(Math.ceil(LONG / piece.length))}b`;
  const { reports } = await graph.invoke({ documents: [{ name: "a", text }] });
  expect(reports[0]?.type).toBe("invoice");
});

/** As much as the largest request holds. */
const HUGE = 2_000_000;

test.each([
  ["nested elements", "<div>", "html_unreadable"],
  ["elements that their like ends", "<div>a</div><p>b<li>c", "html_unreadable"],
  ["unfinished tags", "<p ", "text_truncated"],
  ["marks of headings", "#", "text_truncated"],
])("two megabytes of %s do not hold up the process", { timeout: 20_000 }, async (_, piece, problem) => {
  const text = `# a\n# ${piece.repeat(HUGE / piece.length)}b`;
  const { problems = [] } = await takeIn({ name: "a", text }, silent);
  expect(problems[0]).toContain(problem);
});

test.each(["<b>", "<ul><li>", "<table><tr><td>", "<p>x<li>"])(
  "as many elements as are read, nested as %s, do not either",
  { timeout: 10_000 },
  async (piece) => {
    const { problems = [] } = await takeIn(
      { name: "a", text: `<p>a${piece.repeat(49_000 / (piece.match(/</g)?.length ?? 1))}` },
      silent,
    );
    expect(problems).toEqual([]);
  },
);
