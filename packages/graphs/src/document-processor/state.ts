import { registry } from "@langchain/langgraph/zod";
import { z } from "zod";

/** Kinds of documents the processor tells apart; "unknown" is also the type of what cannot be read. */
export const DocumentType = z.enum(["invoice", "receipt", "contract", "letter", "report", "unknown"]);
export type DocumentType = z.output<typeof DocumentType>;

const Document = z.object({
  name: z.string("every document needs a name").min(1, "the name must not be empty").max(500),
  text: z.string("text must be a string").optional().describe("The content, when it is text, Markdown or HTML"),
  base64: z.string("base64 must be a string").optional().describe("The content in base64, for PDF and other binaries"),
  media_type: z.string().optional().describe("Such as application/pdf; a hint, the content decides"),
});
/** A document as it is submitted. One without readable content is not refused: its report says what is wrong. */
export type Document = z.output<typeof Document>;

export const Fields = z.record(z.string(), z.json());
/** What was extracted: names in snake_case, dates as `YYYY-MM-DD`, amounts as numbers in the main unit. */
export type Fields = z.output<typeof Fields>;

export const Report = z.object({
  name: z.string(),
  type: DocumentType,
  confidence: z.number().min(0).max(1),
  fields: Fields,
  problems: z.array(z.string()).describe('Failed checks, each "name_of_check: what was found"'),
  summary: z.string(),
});
export type Report = z.output<typeof Report>;

/** How far one document has come; what a person watching the run wants to see. */
const Finding = z.object({
  name: z.string(),
  stage: z.string(),
  type: DocumentType.optional(),
  confidence: z.number().optional(),
  problems: z.array(z.string()).optional(),
});
export type Finding = z.output<typeof Finding>;

export const Input = z.object({
  documents: z
    .array(Document, "documents must be a list of {name, text or base64, media_type?}")
    .min(1, "documents must hold at least one document")
    .max(1000, "documents must hold at most 1000 documents; split the batch"),
  review: z.boolean("review must be true or false").default(false).describe("Ask a person when confidence is low"),
});

export const Output = z.object({
  reports: z
    .array(Report)
    .describe("One report for each document, in the order of the input")
    .register(registry, { default: () => [] }),
});

/** By the document's place in the batch. `null` empties the record: a new batch on the thread starts afresh. */
function perDocument<S extends z.ZodType>(entry: S) {
  return z.record(z.string(), entry).nullable();
}

function merge<T>(all: Record<string, T> | null, more: Record<string, T> | null): Record<string, T> | null {
  return more === null ? {} : { ...all, ...more };
}

export const State = z.object({
  ...Input.shape,
  ...Output.shape,
  findings: perDocument(Finding)
    .describe("Progress, by the document's place in the batch")
    .register(registry, { reducer: { fn: merge }, default: () => ({}) }),
  finished: perDocument(Report)
    .describe("Reports as they become ready, by the document's place in the batch")
    .register(registry, { reducer: { fn: merge }, default: () => ({}) }),
});
export type State = z.output<typeof State>;
