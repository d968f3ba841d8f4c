import { z } from "zod";
import { askModel, type ModelCall } from "../ask-model.ts";
import { termsOf } from "./terms.ts";

/** More searches than this make the answer longer, not better. */
export const MAX_QUERIES = 4;

const Plan = z.object({
  queries: z.array(z.string().min(1)).min(1).max(MAX_QUERIES).describe("Short keyword queries for a full-text search"),
});

/** What to search for: asked of the model when there is one, else the question and its parts. */
export async function planQueries(question: string, modelCall?: ModelCall): Promise<string[]> {
  if (modelCall === undefined) return splitQuestion(question);
  const answer = await askModel(modelCall, Plan, {
    instructions: "You plan research in a small library of articles on software engineering.",
    prompt: `Which searches answer this question?\n\n${question}`,
  });
  return "value" in answer ? answer.value.queries : splitQuestion(question);
}

/** The whole question first, then what stands between its "and"s and commas, as far as it says something new. */
export function splitQuestion(question: string): string[] {
  const parts = question
    .split(/[?;.]\s+|,\s+|\s+(?:and|or|versus|vs\.?|compared (?:to|with))\s+/i)
    .map((part) => part.replace(/^(?:and|or)\s+|[?.!]+$/gi, "").trim())
    .filter((part) => termsOf(part).length > 0);
  return [...new Set([question, ...(parts.length > 1 ? parts : [])])].slice(0, MAX_QUERIES);
}
