import { createHash, randomBytes } from "node:crypto";

/** A caller, as every query filters by it. */
export interface Principal {
  tenantId: string;
  /** Id of the API key; undefined on a server without keys. */
  keyId: string | undefined;
}

/** The one caller of a server without keys. */
export const ANONYMOUS: Principal = { tenantId: "default", keyId: undefined };

/** A new key: 256 random bits. Only its hash is stored; a fast hash is enough for a secret that nobody chose. */
export function generateKey(): { key: string; prefix: string; hash: Buffer } {
  const key = `flt_${randomBytes(32).toString("base64url")}`;
  return { key, prefix: key.slice(0, 8), hash: hashKey(key) };
}

export function hashKey(key: string): Buffer {
  return createHash("sha256").update(key, "utf8").digest();
}
