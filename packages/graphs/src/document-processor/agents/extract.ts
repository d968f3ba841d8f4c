import { type Draft, type DraftChange, isReadable, type Progress } from "../draft.ts";
import { extractContract } from "../fields/contract-fields.ts";
import { extractInvoice } from "../fields/invoice-fields.ts";
import { extractLetter } from "../fields/letter-fields.ts";
import { ModelFields } from "../fields/model-fields.ts";
import { extractReceipt } from "../fields/receipt-fields.ts";
import { extractReport } from "../fields/report-fields.ts";
import { withoutUndefined } from "../fields/without-undefined.ts";
import { askModel, type ModelCall } from "../../ask-model.ts";
import { type Layout, layOut } from "../parsing/layout.ts";
import type { DocumentType, Fields } from "../state.ts";
import { INSTRUCTIONS } from "./instructions.ts";

const EXTRACTORS: Readonly<Record<Exclude<DocumentType, "unknown">, (layout: Layout) => Fields>> = {
  invoice: extractInvoice,
  receipt: extractReceipt,
  contract: extractContract,
  letter: extractLetter,
  report: extractReport,
};

/** The third agent: takes the fields of the document's type out of its text. */
export async function extract(draft: Draft, progress: Progress, modelCall?: ModelCall): Promise<DraftChange> {
  if (!isReadable(draft) || draft.type === "unknown") return {};
  const fields = extractByRules(draft.text, draft.type);
  if (modelCall === undefined) {
    progress(`found ${Object.keys(fields).length} fields`);
    return { fields };
  }
  const answer = await askModel(modelCall, ModelFields[draft.type], {
    instructions: INSTRUCTIONS,
    prompt: promptFor(draft),
  });
  // The rules fill what the model left out; where both found something the model has read the sentence, not a pattern.
  if ("value" in answer) return { fields: { ...fields, ...withoutUndefined(withoutNull(answer.value)) } };
  progress("the model's answer could not be used; going by the rules");
  return { fields, problems: [...draft.problems, answer.problem] };
}

/** Extraction without a model; deterministic. */
export function extractByRules(text: string, type: DocumentType): Fields {
  return type === "unknown" ? {} : EXTRACTORS[type](layOut(text));
}

function promptFor({ type, text }: Draft): string {
  return `Extract the fields of this ${type}. Dates as YYYY-MM-DD, amounts as plain numbers, null for what it does not say.\n\n${text.slice(0, 24_000)}`;
}

function withoutNull(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}
