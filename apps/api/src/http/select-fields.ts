/**
 * Only the fields that were asked for; unknown names are ignored, nothing asked is everything. `values.key` keeps that key of
 * the values alone.
 */
export function selectFields(record: object, select: readonly string[] | undefined): object {
  if (select === undefined || select.length === 0) return record;
  const keys = select.flatMap((name) => (name.startsWith("values.") ? [name.slice("values.".length)] : []));
  const selected = Object.entries(record).filter(([name]) => select.includes(name));
  const { values } = record as { values?: unknown };
  if (keys.length === 0 || select.includes("values") || typeof values !== "object" || values === null)
    return Object.fromEntries(selected);
  const some = Object.entries(values).filter(([key]) => keys.includes(key));
  return Object.fromEntries([...selected, ["values", Object.fromEntries(some)]]);
}
