import type { Fields } from "../state.ts";

/** Leaves out what was not found and empty lists: a field is there only when the document has it. */
export function withoutUndefined(found: object): Fields {
  const entries = Object.entries(found).filter(
    ([, value]) => value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0),
  );
  return Object.fromEntries(entries) as Fields;
}
