import { toJsonb } from "../postgres/jsonb.ts";
import type { PoolClient, Queryable } from "../postgres/pool.ts";
import { retryConflicts } from "../postgres/transaction.ts";
import type {
  Assistant,
  AssistantChange,
  AssistantFilter,
  AssistantPage,
  AssistantVersion,
  NewAssistant,
} from "./assistant.ts";

/**
 * The only SQL on `assistants` and `assistant_versions`. A default assistant is seen only while its graph is one of the
 * server's: `graphs` in every query. It is hidden rather than deleted, because in a rolling deployment the gateways of before
 * and after know different graphs.
 */
export interface AssistantScope {
  tenantId: string;
  graphs: readonly string[];
}

const VERSION_COLUMNS = "assistant_id, graph_id, name, description, version, config, context, metadata";
const COLUMNS = `${VERSION_COLUMNS}, created_at, updated_at`;
/** Of the scope, which is always $1 and $2. */
const VISIBLE = "tenant_id = $1 and (default_of is null or default_of = any($2))";

function scopeValues({ tenantId, graphs }: AssistantScope): [string, readonly string[]] {
  return [tenantId, graphs];
}

/** Makes the default assistants that a tenant does not have yet. Any number of processes may do it at once. */
export async function insertDefaultAssistants(
  db: Queryable,
  tenantId: string,
  defaults: readonly NewAssistant[],
): Promise<void> {
  // In one order everywhere: two gateways that insert the same rows wait for each other, never in a circle.
  const rows = [...defaults].sort((a, b) => (a.assistantId < b.assistantId ? -1 : 1)).map(toRow);
  await db.query(
    `with made as (
       insert into assistants (tenant_id, assistant_id, graph_id, name, description, config, context, metadata, default_of)
       select $1, assistant_id, graph_id, name, description, config, context, metadata, graph_id
         from jsonb_to_recordset($2) as d(assistant_id uuid, graph_id text, name text, description text, config jsonb,
                                          context jsonb, metadata jsonb)
       on conflict do nothing
       returning *)
     insert into assistant_versions (tenant_id, ${VERSION_COLUMNS}) select tenant_id, ${VERSION_COLUMNS} from made`,
    [tenantId, toJsonb(rows)],
  );
}

/** @returns undefined when the tenant has an assistant of that id. */
export async function insertAssistant(
  db: Queryable,
  tenantId: string,
  assistant: NewAssistant,
): Promise<Assistant | undefined> {
  const { assistant_id, graph_id, name, description, config, context, metadata } = toRow(assistant);
  const { rows } = await db.query<Assistant>(
    `with made as (
       insert into assistants (tenant_id, assistant_id, graph_id, name, description, config, context, metadata)
       values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing
       returning *),
     kept as (
       insert into assistant_versions (tenant_id, ${VERSION_COLUMNS}) select tenant_id, ${VERSION_COLUMNS} from made)
     select ${COLUMNS} from made`,
    [tenantId, assistant_id, graph_id, name, description, toJsonb(config), toJsonb(context), toJsonb(metadata)],
  );
  return rows[0];
}

function toRow({ assistantId, graphId, ...rest }: NewAssistant) {
  return { assistant_id: assistantId, graph_id: graphId, ...rest };
}

export async function getAssistant(
  db: Queryable,
  scope: AssistantScope,
  assistantId: string,
): Promise<Assistant | undefined> {
  const { rows } = await db.query<Assistant>({
    name: "assistant_get",
    text: `select ${COLUMNS} from assistants where ${VISIBLE} and assistant_id = $3`,
    values: [...scopeValues(scope), assistantId],
  });
  return rows[0];
}

const MATCHES = `${VISIBLE} and ($3::jsonb is null or metadata @> $3) and ($4::text is null or graph_id = $4)
   and ($5::text is null or strpos(lower(name), lower($5)) > 0)`;

function filterValues({ metadata, graphId, name }: AssistantFilter): (string | null)[] {
  return [metadata === undefined ? null : toJsonb(metadata), graphId ?? null, name ?? null];
}

export async function searchAssistants(
  db: Queryable,
  scope: AssistantScope,
  filter: AssistantFilter,
  { limit, offset, sortBy, sortOrder }: AssistantPage,
): Promise<Assistant[]> {
  // Both are words of a fixed list. The id makes the order whole, so that pages neither repeat nor leave out a row.
  const order = sortBy === "assistant_id" ? `assistant_id ${sortOrder}` : `${sortBy} ${sortOrder}, assistant_id`;
  const { rows } = await db.query<Assistant>(
    `select ${COLUMNS} from assistants where ${MATCHES} order by ${order} limit $6 offset $7`,
    [...scopeValues(scope), ...filterValues(filter), limit, offset],
  );
  return rows;
}

export async function countAssistants(db: Queryable, scope: AssistantScope, filter: AssistantFilter): Promise<number> {
  const { rows } = await db.query<{ n: number }>(`select count(*)::int as n from assistants where ${MATCHES}`, [
    ...scopeValues(scope),
    ...filterValues(filter),
  ]);
  return rows[0]?.n ?? 0;
}

/** Makes a new version, the latest, in the caller's transaction. @returns undefined for an assistant that is not there. */
export async function updateAssistant(
  client: PoolClient,
  scope: AssistantScope,
  assistantId: string,
  change: AssistantChange,
): Promise<Assistant | undefined> {
  const key = [...scopeValues(scope), assistantId];
  const held = await client.query(`select 1 from assistants where ${VISIBLE} and assistant_id = $3 for update`, key);
  if (held.rowCount === 0) return undefined;
  const json = (value: unknown) => (value === undefined ? null : toJsonb(value));
  // A statement of its own after the lock: it sees the versions that committed before it.
  const { rows } = await client.query<Assistant>(
    `with changed as (
       update assistants set graph_id = coalesce($4, graph_id), name = coalesce($5, name),
              description = coalesce($6, description), config = coalesce($7, config), context = coalesce($8, context),
              metadata = metadata || coalesce($9, '{}'::jsonb), updated_at = clock_timestamp(),
              version = 1 + (select max(version) from assistant_versions where tenant_id = $1 and assistant_id = $3)
        where ${VISIBLE} and assistant_id = $3
       returning *),
     kept as (
       insert into assistant_versions (tenant_id, ${VERSION_COLUMNS}) select tenant_id, ${VERSION_COLUMNS} from changed)
     select ${COLUMNS} from changed`,
    [
      ...key,
      change.graphId ?? null,
      change.name ?? null,
      change.description ?? null,
      json(change.config),
      json(change.context),
      json(change.metadata),
    ],
  );
  return rows[0];
}

/** Newest first. */
export async function listAssistantVersions(
  db: Queryable,
  tenantId: string,
  assistantId: string,
  page: { metadata?: Record<string, unknown> | undefined; limit: number; offset: number },
): Promise<AssistantVersion[]> {
  const { rows } = await db.query<AssistantVersion>(
    `select ${VERSION_COLUMNS}, created_at from assistant_versions
      where tenant_id = $1 and assistant_id = $2 and ($3::jsonb is null or metadata @> $3)
      order by version desc limit $4 offset $5`,
    [tenantId, assistantId, page.metadata === undefined ? null : toJsonb(page.metadata), page.limit, page.offset],
  );
  return rows;
}

/** Everything that a version says becomes what the assistant says. @returns undefined when there is no such version. */
export async function restoreAssistantVersion(
  db: Queryable,
  scope: AssistantScope,
  assistantId: string,
  version: number,
): Promise<Assistant | undefined> {
  const { rows } = await db.query<Assistant>(
    `with kept as (
       select graph_id, name, description, version, config, context, metadata from assistant_versions
        where tenant_id = $1 and assistant_id = $3 and version = $4)
     update assistants a set graph_id = kept.graph_id, name = kept.name, description = kept.description,
            version = kept.version, config = kept.config, context = kept.context, metadata = kept.metadata,
            updated_at = clock_timestamp()
       from kept where ${VISIBLE} and assistant_id = $3
     returning ${COLUMNS.split(", ")
       .map((column) => `a.${column}`)
       .join(", ")}`,
    [...scopeValues(scope), assistantId, version],
  );
  return rows[0];
}

/** With its versions. @returns whether it was there. */
export async function deleteAssistant(db: Queryable, scope: AssistantScope, assistantId: string): Promise<boolean> {
  return retryConflicts(async () => {
    const { rowCount } = await db.query(`delete from assistants where ${VISIBLE} and assistant_id = $3`, [
      ...scopeValues(scope),
      assistantId,
    ]);
    return rowCount === 1;
  });
}
