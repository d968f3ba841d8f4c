import type { Fields } from "../state.ts";

/** A contract needs two sides, and its stated term has to fit its dates (within a month). */
export function checkContract(fields: Fields): string[] {
  const problems: string[] = [];
  const { parties, effective_date: start, end_date: end, term_months: term } = fields;
  if (Array.isArray(parties) && parties.length === 1)
    problems.push(`parties_incomplete: only ${JSON.stringify(parties[0])} was found`);
  if (typeof start === "string" && typeof end === "string" && typeof term === "number" && end >= start) {
    const months = (Date.parse(end) - Date.parse(start)) / (30.44 * 86_400_000);
    if (Math.abs(months - term) > 1)
      problems.push(`term_mismatch: ${term} months stated, ${Math.round(months)} between the dates`);
  }
  return problems;
}
