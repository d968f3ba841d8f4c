import { z } from "zod";
import { type Draft, type DraftChange, isReadable, type Progress } from "../draft.ts";
import { askModel, type ModelCall } from "../../ask-model.ts";
import { DocumentType } from "../state.ts";
import { INSTRUCTIONS } from "./instructions.ts";
import { type Known, SIGNS } from "./signs.ts";

/** Below this weight of evidence nothing is claimed. */
const ENOUGH = 3.5;
const AMPLE = 8;

/** The second agent: says what kind of document it is, by the model if there is one, else by words and layout. */
export async function classify(draft: Draft, progress: Progress, modelCall?: ModelCall): Promise<DraftChange> {
  if (!isReadable(draft)) return {};
  const byRules = classifyByRules(draft.text);
  if (modelCall === undefined) {
    progress(`looks like ${byRules.type} (${byRules.confidence})`);
    return byRules;
  }
  const answer = await askModel(modelCall, Classification, {
    instructions: INSTRUCTIONS,
    prompt: `What kind of document is this?\n\n${draft.text.slice(0, 6000)}`,
  });
  if ("value" in answer) return { type: answer.value.type, confidence: answer.value.confidence };
  progress("the model's answer could not be used; going by the rules");
  return { ...byRules, problems: [...draft.problems, answer.problem] };
}

const Classification = z.object({
  type: DocumentType.describe("unknown when it is none of the others"),
  confidence: z.number().min(0).max(1).describe("0 to 1: how sure you are"),
});

/** The type with most evidence; confidence grows with its lead over the second and with the amount of evidence. */
export function classifyByRules(text: string): { type: DocumentType; confidence: number } {
  const scores = new Map<Known, number>();
  const head = text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, 6)
    .join("\n")
    .slice(0, 400);
  for (const { type, weight, pattern, isTitle } of SIGNS) {
    if (!pattern.test(text)) continue;
    const factor = isTitle === true ? (pattern.test(head) ? 2 : 0.4) : 1;
    scores.set(type, (scores.get(type) ?? 0) + weight * factor);
  }
  const [first, second] = [...scores].sort((a, b) => b[1] - a[1]);
  if (first === undefined || first[1] < ENOUGH)
    return { type: "unknown", confidence: round(Math.min(0.4, (first?.[1] ?? 0) / 10)) };
  const lead = first[1] / (first[1] + (second?.[1] ?? 0) * 0.6);
  const evidence = 0.75 + 0.25 * Math.min(1, (first[1] - ENOUGH) / (AMPLE - ENOUGH));
  return { type: first[0], confidence: round(Math.min(0.99, lead * evidence + 0.08)) };
}

function round(confidence: number): number {
  return Math.round(confidence * 100) / 100;
}
