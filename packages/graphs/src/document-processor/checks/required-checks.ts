import type { DocumentType, Fields } from "../state.ts";

/** Fields without which a document of the type is of no use; one of each inner list is enough. */
const REQUIRED: Readonly<Record<DocumentType, readonly (readonly string[])[]>> = {
  invoice: [["invoice_number"], ["issue_date"], ["seller"], ["total"], ["currency"]],
  receipt: [["merchant"], ["date"], ["total"]],
  contract: [["parties"], ["effective_date", "signed_date"]],
  letter: [["sender", "signatory"], ["date"]],
  report: [["title"]],
  unknown: [],
};

/** "required_field_missing: …" for each field that the document's type must have. */
export function checkRequired(type: DocumentType, fields: Fields): string[] {
  return REQUIRED[type]
    .filter((names) =>
      names.every((name) => fields[name] === undefined || fields[name] === null || fields[name] === ""),
    )
    .map((names) => `required_field_missing: ${names.join(" or ")}`);
}
