import type { Queryable } from "../postgres/pool.ts";

export interface ApiKey {
  key_id: string;
  tenant_id: string;
  name: string;
  prefix: string;
  created_at: Date;
  revoked_at: Date | null;
}

export async function insertApiKey(
  db: Queryable,
  key: { keyId: string; tenantId: string; name: string; prefix: string; hash: Buffer },
): Promise<void> {
  await db.query("insert into api_keys (key_id, tenant_id, name, prefix, hash) values ($1, $2, $3, $4, $5)", [
    key.keyId,
    key.tenantId,
    key.name,
    key.prefix,
    key.hash,
  ]);
}

export async function listApiKeys(db: Queryable): Promise<ApiKey[]> {
  const { rows } = await db.query<ApiKey>(
    "select key_id, tenant_id, name, prefix, created_at, revoked_at from api_keys order by created_at",
  );
  return rows;
}

/** False when there is no such key, or it was revoked before. */
export async function revokeApiKey(db: Queryable, keyId: string): Promise<boolean> {
  const { rowCount } = await db.query(
    "update api_keys set revoked_at = now() where key_id = $1 and revoked_at is null",
    [keyId],
  );
  return rowCount === 1;
}

/** The valid key with this hash. The comparison is the index's, on a hash: its timing tells nothing about a key. */
export async function findApiKey(
  db: Queryable,
  hash: Buffer,
): Promise<{ key_id: string; tenant_id: string } | undefined> {
  const { rows } = await db.query<{ key_id: string; tenant_id: string }>({
    name: "api_key_find",
    text: "select key_id, tenant_id from api_keys where hash = $1 and revoked_at is null",
    values: [hash],
  });
  return rows[0];
}

/** Whether a key was ever made: a server whose keys are all revoked does not become an open one. */
export async function hasApiKeys(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ found: boolean }>("select exists (select 1 from api_keys) as found");
  return rows[0]?.found === true;
}
