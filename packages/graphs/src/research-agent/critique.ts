import { z } from "zod";
import { askModel, type ModelCall } from "../ask-model.ts";
import { citedNumbers } from "./citations.ts";
import type { Corpus, Passage } from "./corpus.ts";
import { MAX_QUERIES } from "./plan.ts";

/** The answer is rewritten at most this often; then it is taken as it is. */
export const MAX_REVISIONS = 2;

/** `feedback` is empty when the answer is good; `queries` ask for more material first. */
export interface Verdict {
  readonly feedback: string;
  readonly queries: readonly string[];
}

export interface DraftAnswer {
  readonly question: string;
  readonly draft: string;
  readonly passages: readonly Passage[];
  readonly queries: readonly string[];
}

const Judgement = z.object({
  approved: z.boolean(),
  feedback: z.string().default("").describe("What has to change; empty when approved"),
  queries: z.array(z.string().min(1)).max(MAX_QUERIES).default([]).describe("Further searches, if material is missing"),
});

/** Judges a draft: its references by rule in any case, its substance by the model when there is one. */
export async function criticise(answer: DraftAnswer, corpus: Corpus, modelCall?: ModelCall): Promise<Verdict> {
  const byRules = criticiseByRules(answer, corpus);
  if (byRules.feedback !== "" || modelCall === undefined) return byRules;
  const judged = await askModel(modelCall, Judgement, {
    instructions: "You are a strict but fair editor. Judge whether the draft answers the question from its sources.",
    prompt: `Question: ${answer.question}\n\nDraft: ${answer.draft}`,
  });
  if (!("value" in judged) || judged.value.approved) return { feedback: "", queries: [] };
  return { feedback: judged.value.feedback || "Answer the question more directly.", queries: judged.value.queries };
}

/** Every reference must exist, there must be one, and each search that found something should have its say. */
export function criticiseByRules({ draft, passages, queries }: DraftAnswer, corpus: Corpus): Verdict {
  const cited = citedNumbers(draft);
  const invented = cited.filter((number) => passages[number - 1] === undefined);
  if (invented.length > 0) return rewrite(`There is no passage ${invented.join(", ")}; cite only those given.`);
  if (cited.length === 0) return rewrite("Cite the passages that you used, with their numbers in square brackets.");
  const citedIds = new Set(cited.map((number) => passages[number - 1]?.id));
  const unheard = queries.find((query) => {
    const found = corpus.search(query, 3);
    return found.length > 0 && !found.some((passage) => citedIds.has(passage.id));
  });
  return unheard === undefined ? { feedback: "", queries: [] } : rewrite(`The answer says nothing about "${unheard}".`);
}

function rewrite(feedback: string): Verdict {
  return { feedback, queries: [] };
}
