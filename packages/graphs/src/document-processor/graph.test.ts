import { readdir, readFile } from "node:fs/promises";
import { Command, MemorySaver } from "@langchain/langgraph";
import { beforeEach, expect, test } from "vitest";
import { graph } from "./graph.ts";
import type { Document, Report } from "./state.ts";

const EXAMPLES = new URL("../../../../examples/documents/", import.meta.url);

const INVOICE = `Invoice no. A-1\nDate: 2025-03-12\nDue date: 2025-03-26\nFrom: Birch Ltd\nBill to: Elm plc
Description   Qty   Unit price   Amount\nPaper   2   10.00   20.00\nSubtotal   £20.00\nVAT 20%   £4.00\nTotal   £24.00`;
const WRONG_INVOICE = INVOICE.replace("Total   £24.00", "Total   £42.00");

/** How an interrupt looks to whoever has to answer it. */
interface Question {
  id: string;
  value: { document: string; fields: Record<string, unknown>; problems: string[]; error?: string };
}
type Result = { reports?: Report[]; __interrupt__?: Question[] };

let config: { configurable: { thread_id: string } };
let threads = 0;

beforeEach(() => {
  graph.checkpointer = new MemorySaver();
  config = { configurable: { thread_id: `thread-${(threads += 1)}` } };
});

async function run(input: unknown): Promise<Result> {
  return (await graph.invoke(input as never, config)) as Result;
}

test("every example document is recognised and passes its checks", async () => {
  const names = (await readdir(EXAMPLES)).filter((name) => name !== "README.md").sort();
  const documents = await Promise.all(
    names.map(async (name): Promise<Document> => {
      const bytes = await readFile(new URL(name, EXAMPLES));
      return name.endsWith(".pdf")
        ? { name, base64: bytes.toString("base64") }
        : { name, text: bytes.toString("utf8") };
    }),
  );
  const { reports = [] } = await run({ documents });
  expect(reports.map(({ name }) => name)).toEqual(names);
  expect(reports.map(({ type, name }) => name.startsWith(type))).not.toContain(false);
  expect(reports.flatMap(({ problems }) => problems)).toEqual([]);
});

test("all 36 rows of the invoice over two pages are found", async () => {
  const base64 = (await readFile(new URL("invoice-aarelux-two-pages.pdf", EXAMPLES))).toString("base64");
  const { reports = [] } = await run({ documents: [{ name: "a.pdf", base64 }] });
  expect(reports[0]?.fields["line_items"]).toHaveLength(36);
  expect(reports[0]?.fields).toMatchObject({ seller: "Aarelux Antriebstechnik AG", currency: "CHF", total: 16437.58 });
});

test("documents that cannot be read get a report that says why, in their place, and do not fail the batch", async () => {
  const base64 = (text: string | Uint8Array) => Buffer.from(text).toString("base64");
  const documents = [
    { name: "broken.pdf", base64: base64("%PDF-1.7 rubbish"), media_type: "application/pdf" },
    { name: "good.txt", text: INVOICE },
    { name: "empty" },
    { name: "binary", base64: base64(new Uint8Array([0, 1, 2, 3])) },
    { name: "picture", base64: base64(new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10])) },
    { name: "not base64", base64: "§§§" },
  ];
  const { reports = [] } = await run({ documents });
  expect(reports.map(({ name }) => name)).toEqual(documents.map(({ name }) => name));
  expect(reports.map(({ type }) => type)).toEqual(["unknown", "invoice", "unknown", "unknown", "unknown", "unknown"]);
  expect(reports.map(({ problems }) => problems[0]?.split(":")[0])).toEqual([
    "pdf_unreadable",
    undefined,
    "document_empty",
    "format_unsupported",
    "format_unsupported",
    "base64_invalid",
  ]);
});

const pdf = (pages: string, trailer = "") =>
  `%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj${pages}endobj\ntrailer<</Root 1 0 R${trailer}>>\n%%EOF`;
const KEY = "x".repeat(32);
const LOCK = `/Encrypt<</Filter/Standard/V 1/R 2/O(${KEY})/U(${KEY})/P -4>>/ID[(a)(a)]`;

test.each([
  ["that ends too soon", "%PDF-1.7\n1 0 obj<</Type/Catalog", "pdf_unreadable"],
  ["with a password", pdf("<</Type/Pages/Kids[]/Count 0>>", LOCK), "pdf_unreadable: No password given"],
  ["whose pages hold themselves", pdf("<</Type/Pages/Kids[2 0 R 2 0 R]/Count 9>>"), "text_missing"],
])("a PDF %s gets a report that says so", async (_, content, problem) => {
  const base64 = Buffer.from(content).toString("base64");
  const { reports = [] } = await run({ documents: [{ name: "a.pdf", base64 }] });
  expect(reports).toMatchObject([{ name: "a.pdf", type: "unknown", confidence: 0 }]);
  expect(reports[0]?.problems[0]).toContain(problem);
});

test("names are labels: paths, NUL, half a surrogate pair and an object's own names come back as they are", async () => {
  const odd = ["../../etc/passwd", "C:\\a?*", "a\u0000b", "\ud800", "__proto__", "constructor", " ", "x", "x"];
  const { reports = [] } = await run({ documents: odd.map((name) => ({ name, text: INVOICE })) });
  expect(reports.map(({ name, type }) => [name, type])).toEqual(odd.map((name) => [name, "invoice"]));
});

test("two hundred documents are two hundred reports, in order", async () => {
  const documents = Array.from({ length: 200 }, (_, i) => ({ name: `d${i}`, text: INVOICE.replace("A-1", `A-${i}`) }));
  const { reports = [] } = await run({ documents });
  expect(reports.map(({ fields }) => fields["invoice_number"])).toEqual(documents.map((_, i) => `A-${i}`));
});

test("each stage is a super-step of its own, and its progress is told", async () => {
  const updates: string[] = [];
  const stages = new Set<string>();
  const documents = [
    { name: "a", text: INVOICE },
    { name: "b", text: INVOICE },
  ];
  for await (const [mode, chunk] of await graph.stream(
    { documents },
    { ...config, streamMode: ["updates", "custom"] },
  )) {
    if (mode === "updates") updates.push(...Object.keys(chunk));
    else if (chunk.document === "b") stages.add(chunk.stage);
  }
  const line = ["intake", "classify", "extract", "validate", "ask_reviewer", "summarise"];
  expect(updates).toEqual(["distribute", ...line.flatMap((stage) => [stage, stage]), "collect"]);
  expect([...stages]).toEqual(line);
});

test("nobody is asked without review, nor with it when the fields are certain", async () => {
  expect((await run({ documents: [{ name: "wrong", text: WRONG_INVOICE }] })).__interrupt__).toBeUndefined();
  expect((await run({ documents: [{ name: "right", text: INVOICE }], review: true })).__interrupt__).toBeUndefined();
});

test("two doubtful documents are two questions, answered by id and one at a time", async () => {
  const documents = ["one", "sure", "two"].map((name) => ({ name, text: name === "sure" ? INVOICE : WRONG_INVOICE }));
  const { __interrupt__: questions = [] } = await run({ documents, review: true });
  expect(questions.map(({ value }) => value.document)).toEqual(["one", "two"]);
  expect(questions[0]?.value.problems.join()).toContain("total_mismatch");
  expect(questions[0]?.value.fields).toMatchObject({ total: 42 });

  const [first, second] = questions.map(({ id }) => id);
  const afterOne = await run(new Command({ resume: { [second ?? ""]: { approved: true } } }));
  expect(afterOne.__interrupt__?.map(({ id }) => id)).toEqual([first]);
  const { reports = [] } = await run(new Command({ resume: { [first ?? ""]: { fields: { total: 24 } } } }));
  expect(reports.map(({ fields }) => fields["total"])).toEqual([24, 24, 42]);
  expect(reports.map(({ problems }) => problems.length)).toEqual([0, 0, 1]);
  expect(reports.map(({ confidence }) => confidence >= 0.7)).toEqual([true, true, true]);
});

test("an answer that does not fit is asked for again, with the reason", async () => {
  await run({ documents: [{ name: "wrong", text: WRONG_INVOICE }], review: true });
  const again = await run(new Command({ resume: { fine: true } }));
  expect(again.__interrupt__?.[0]?.value.error).toContain("approved");
  const { reports } = await run(new Command({ resume: { approved: true } }));
  expect(reports).toHaveLength(1);
});

test("a second batch on the thread starts afresh", async () => {
  await run({
    documents: [
      { name: "a", text: WRONG_INVOICE },
      { name: "b", text: INVOICE },
    ],
    review: true,
  });
  const { reports = [] } = await run({ documents: [{ name: "c", text: INVOICE }] });
  expect(reports.map(({ name }) => name)).toEqual(["c"]);
});

test.each([
  [{}, "documents"],
  [{ documents: [] }, "at least one document"],
  [{ documents: [{ text: "no name" }] }, "needs a name"],
  [{ documents: [{ name: "a", text: 5 }] }, "text must be a string"],
  [{ documents: { name: "a", text: "b" } }, "documents must be a list"],
  [{ documents: [null] }, "expected object"],
  [{ documents: [{ name: "", text: "b" }] }, "must not be empty"],
  [{ documents: [{ name: "a", base64: {} }] }, "base64 must be a string"],
  [{ documents: [{ name: "a", text: "b" }], review: "yes" }, "review must be true or false"],
])("the input %j is refused with a message that names the problem", async (input, message) => {
  await expect(run(input)).rejects.toThrow(message);
});
