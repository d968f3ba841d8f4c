import { toJsonb } from "../postgres/jsonb.ts";
import type { Queryable } from "../postgres/pool.ts";

/** JSON Schemas of a graph; null for what is not known. */
export interface GraphSchemas {
  input_schema: Record<string, unknown> | null;
  output_schema: Record<string, unknown> | null;
  state_schema: Record<string, unknown> | null;
  config_schema: Record<string, unknown> | null;
  context_schema: Record<string, unknown> | null;
}

/** What the source of a graph says. */
export interface DerivedSchemas {
  /** Null: it could not be read within the limits. */
  schemas: GraphSchemas | null;
  /** The files it was read from, by path from the graph's: SHA-256 of each. */
  files: Record<string, string>;
}

/**
 * The only SQL on `graph_source_schemas`, a cache: any row may be lost. It holds what the sources of the server's own graphs
 * say, which is nobody's data, so that it has no tenant.
 */

/** A graph by its source: the name of its export, and SHA-256 of its file. */
export interface SourceKey {
  hash: string;
  exportName: string;
}

/** @param retrySeconds how long a failure is believed */
export async function getSourceSchemas(
  db: Queryable,
  { hash, exportName }: SourceKey,
  retrySeconds: number,
): Promise<DerivedSchemas | undefined> {
  const { rows } = await db.query<DerivedSchemas>(
    `select schemas, files from graph_source_schemas where source_hash = $1 and export_name = $2
        and (schemas is not null or derived_at > clock_timestamp() - make_interval(secs => $3))`,
    [hash, exportName, retrySeconds],
  );
  return rows[0];
}

export async function storeSourceSchemas(
  db: Queryable,
  { hash, exportName }: SourceKey,
  { schemas, files }: DerivedSchemas,
): Promise<void> {
  await db.query(
    `insert into graph_source_schemas (source_hash, export_name, schemas, files) values ($1, $2, $3, $4)
     on conflict (source_hash, export_name) do update
       set schemas = excluded.schemas, files = excluded.files, derived_at = clock_timestamp()`,
    [hash, exportName, schemas === null ? null : toJsonb(schemas), toJsonb(files)],
  );
}

/** Of sources that are not in use any more. */
export async function deleteOldSourceSchemas(db: Queryable, days: number): Promise<void> {
  await db.query("delete from graph_source_schemas where derived_at < clock_timestamp() - make_interval(days => $1)", [
    days,
  ]);
}
