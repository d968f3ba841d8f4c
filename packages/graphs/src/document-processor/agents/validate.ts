import { type Draft, type DraftChange, isReadable } from "../draft.ts";
import { checkContract } from "../checks/contract-checks.ts";
import { checkDates } from "../checks/date-checks.ts";
import { checkMoney } from "../checks/money-checks.ts";
import { checkRequired } from "../checks/required-checks.ts";

/** What one failed check leaves of the confidence; notes (the second number) are no failures. */
const AFTER_FAILURE = 0.7;
const AFTER_NOTE = 0.92;
const NOTES = /^(?:date_ambiguous|text_truncated|model_\w+):/;

/**
 * The fourth agent: checks the fields against each other and against the world. Every check that fails becomes a
 * problem and lowers the confidence.
 */
export function validate(draft: Draft): DraftChange {
  if (!isReadable(draft)) return {};
  if (draft.type === "unknown") {
    return { problems: [...draft.problems, "type_unknown: nothing in the text tells what kind of document this is"] };
  }
  const problems = [...draft.problems, ...checkFields(draft)];
  const confidence = problems.reduce(
    (left, problem) => left * (NOTES.test(problem) ? AFTER_NOTE : AFTER_FAILURE),
    draft.confidence,
  );
  return { problems, confidence: Math.round(confidence * 100) / 100 };
}

/** The failed checks of a draft's fields, each "name_of_check: what was found". */
export function checkFields({ type, fields, text }: Pick<Draft, "type" | "fields" | "text">): string[] {
  return [
    ...checkRequired(type, fields),
    ...checkDates(fields, text),
    ...(type === "invoice" || type === "receipt" ? checkMoney(fields, type) : []),
    ...(type === "contract" ? checkContract(fields) : []),
  ];
}
