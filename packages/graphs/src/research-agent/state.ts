import { registry } from "@langchain/langgraph/zod";
import { z } from "zod";
import type { Passage } from "./corpus.ts";

export const Input = z.object({
  query: z.string("query must be a string").trim().min(1, "query must not be empty").max(2000).describe("The question"),
});

const Citation = z.object({
  number: z.int().describe("The number in square brackets that the answer refers to it by"),
  id: z.string(),
  title: z.string(),
  excerpt: z.string(),
});
export type Citation = z.output<typeof Citation>;

export const Output = z.object({
  ...Input.shape,
  answer: z.string().register(registry, { default: () => "" }),
  citations: z.array(Citation).register(registry, { default: () => [] }),
  queries: z
    .array(z.string())
    .describe("What was searched for")
    .register(registry, { default: () => [] }),
  revisions: z
    .int()
    .describe("How often the answer was rewritten after critique")
    .register(registry, { default: () => 0 }),
});

/** Appends what is new, in the order of finding, so that a passage keeps its number; `null` empties the list. */
export function addPassages(known: Passage[] | null, more: Passage[] | null): Passage[] | null {
  if (more === null) return [];
  const ids = new Set((known ?? []).map((passage) => passage.id));
  return [...(known ?? []), ...more.filter((passage) => !ids.has(passage.id) && ids.add(passage.id))];
}

export const State = z.object({
  ...Output.shape,
  passages: z
    .array(z.custom<Passage>())
    .nullable()
    .describe("What the searches found; the answer may cite nothing else")
    .register(registry, { reducer: { fn: addPassages }, default: () => [] }),
  draft: z.string().register(registry, { default: () => "" }),
  feedback: z
    .string()
    .describe("What the critic wants changed; empty when satisfied")
    .register(registry, { default: () => "" }),
});
export type State = z.output<typeof State>;
