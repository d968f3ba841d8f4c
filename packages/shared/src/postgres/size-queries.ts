import type { Queryable } from "./pool.ts";

export interface TableSize {
  name: string;
  /** With indexes and large values. */
  bytes: number;
  /** As the last vacuum or analyze has estimated them. */
  rows: number;
}

/** Sizes of some tables, those that exist. Reads no table: it costs a look at the catalogue and the file system. */
export async function readTableSizes(db: Queryable, names: readonly string[]): Promise<TableSize[]> {
  const { rows } = await db.query<TableSize>(
    `select n.name, pg_total_relation_size(c.oid)::double precision as bytes, greatest(c.reltuples, 0)::double precision as rows
       from unnest($1::text[]) n (name) join pg_class c on c.oid = to_regclass(n.name)`,
    [names],
  );
  return rows;
}
