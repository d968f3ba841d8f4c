/** The row of a query that always returns one. */
export function only<T>(rows: T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error("a query that always returns a row returned none");
  return row;
}
