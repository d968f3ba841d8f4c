import { type Draft, type DraftChange, isReadable, type Progress } from "../draft.ts";
import { askModelForText, type ModelCall } from "../../ask-model.ts";
import type { Fields } from "../state.ts";
import { INSTRUCTIONS } from "./instructions.ts";

/** The fifth agent: two or three sentences that say what the document is and what is wrong with it. */
export async function summarise(draft: Draft, progress: Progress, modelCall?: ModelCall): Promise<DraftChange> {
  const byRules = summariseByRules(draft);
  if (modelCall === undefined || !isReadable(draft)) return { summary: byRules };
  const prompt = `Summarise this ${draft.type} in at most three sentences for a busy clerk.
Fields found: ${JSON.stringify(draft.fields)}\nProblems: ${draft.problems.join("; ") || "none"}\n\n${draft.text.slice(0, 12_000)}`;
  const answer = await askModelForText(modelCall, { instructions: INSTRUCTIONS, prompt });
  if ("value" in answer) return { summary: answer.value };
  progress("the model's answer could not be used; going by the rules");
  return { summary: byRules, problems: [...draft.problems, answer.problem] };
}

/** The summary without a model; deterministic. */
export function summariseByRules(draft: Draft): string {
  if (!isReadable(draft)) return `${draft.name} could not be read: ${draft.problems.join("; ")}.`;
  const failed = draft.problems.map((problem) => problem.split(":")[0]);
  const verdict = failed.length === 0 ? "" : ` Problems: ${[...new Set(failed)].join(", ")}.`;
  return `${describe(draft)}${verdict}`;
}

function describe({ name, type, fields, text }: Draft): string {
  if (type === "invoice") return describeInvoice(fields);
  if (type === "receipt") {
    return `Receipt from ${said(fields["merchant"])} of ${said(fields["date"])} over ${money(fields)}${clause(", paid by ", fields["payment_method"])}.`;
  }
  if (type === "contract") return describeContract(fields);
  if (type === "letter") {
    return `Letter from ${said(fields["sender"])} to ${said(fields["recipient"])} of ${said(fields["date"])}${clause(" about “", fields["subject"], "”")}.`;
  }
  if (type === "report") return describeReport(fields);
  const words = text.split(/\s+/).length;
  return `${name} is of no known type; it has ${words} words and begins “${text.slice(0, 80).replace(/\s+/g, " ")}”.`;
}

function describeInvoice(fields: Fields): string {
  const rows = Array.isArray(fields["line_items"]) ? fields["line_items"].length : 0;
  const to = clause(" to ", fields["buyer"]);
  const due = clause(", due ", fields["due_date"]);
  return `Invoice ${said(fields["invoice_number"])} from ${said(fields["seller"])}${to} of ${said(fields["issue_date"])} over ${money(fields)}${due}, with ${rows} ${rows === 1 ? "row" : "rows"}.`;
}

function describeContract(fields: Fields): string {
  const parties = Array.isArray(fields["parties"]) ? fields["parties"].map(String).join(" and ") : "unnamed parties";
  const from = clause(", from ", fields["effective_date"]);
  const until = clause(" until ", fields["end_date"]);
  return `${said(fields["title"], "Contract")} between ${parties}${from}${until}${clause(", under the law of ", fields["governing_law"])}.`;
}

function describeReport(fields: Fields): string {
  const sections = Array.isArray(fields["sections"])
    ? ` Sections: ${fields["sections"].slice(0, 6).map(String).join(", ")}.`
    : "";
  const by = clause(" by ", fields["author"]);
  const period = clause(", covering ", fields["period"]);
  return `Report “${said(fields["title"])}”${by}${clause(" of ", fields["date"])}${period}.${sections}`;
}

function money({ total, currency }: Fields): string {
  return typeof total === "number" ? `${total.toFixed(2)} ${said(currency, "")}`.trim() : "an unknown amount";
}

function said(value: unknown, otherwise = "unknown"): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : otherwise;
}

function clause(before: string, value: unknown, after = ""): string {
  return value === undefined ? "" : `${before}${said(value)}${after}`;
}
