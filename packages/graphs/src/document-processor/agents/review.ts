import { z } from "zod";
import { askPerson } from "../../ask-person.ts";
import { type Draft, type DraftChange, isReadable } from "../draft.ts";
import { DocumentType, Fields } from "../state.ts";
import { extractByRules } from "./extract.ts";
import { checkFields } from "./validate.ts";

/** At or above this confidence nobody is asked. */
export const SURE_ENOUGH = 0.7;

/** What a person may answer: corrections, or that everything is right as it stands. */
export const ReviewAnswer = z
  .object({
    approved: z.boolean().optional().describe("true: use the fields as they are"),
    fields: Fields.optional().describe("Corrected fields; null removes one, the others stay"),
    type: DocumentType.optional().describe("The right type, when it was mistaken"),
  })
  .refine(
    ({ approved, fields, type }) => approved === true || fields !== undefined || type !== undefined,
    "give {fields: {…}} with corrections, or {approved: true}",
  );

/**
 * Between validation and summary: asks a person about a document that the agents are not sure of, once for each such
 * document. What the person confirms is certain; the checks run again on what was corrected.
 */
export function review(draft: Draft): DraftChange {
  // Nothing can be corrected in what could not be read.
  if (!draft.review || !isReadable(draft) || draft.confidence >= SURE_ENOUGH) return {};
  const answer = askPerson(
    {
      action: "correct_fields",
      document: draft.name,
      index: draft.index,
      type: draft.type,
      confidence: draft.confidence,
      fields: draft.fields,
      problems: draft.problems,
    },
    ReviewAnswer,
  );
  if (answer.fields === undefined && answer.type === undefined) return { confidence: 1 };
  return correct(draft, answer);
}

function correct(draft: Draft, { fields, type = draft.type }: z.output<typeof ReviewAnswer>): DraftChange {
  const before = type === draft.type ? draft.fields : extractByRules(draft.text, type);
  const merged = Object.entries({ ...before, ...fields }).filter(([, value]) => value !== null);
  const corrected = { type, fields: Object.fromEntries(merged) };
  return { ...corrected, problems: checkFields({ ...corrected, text: draft.text }), confidence: 1 };
}
