import { createHash } from "node:crypto";
import type { Request } from "express";
import { InvalidRequest } from "@flotilla/shared/errors";

export interface Idempotency {
  key: string;
  /** Of path and body: the same key with another request is refused. */
  requestHash: string;
}

/**
 * The request's `Idempotency-Key` with a hash of what it asks for: path and canonical JSON body, without the query, so that
 * the same submission may be repeated with another wait.
 * @throws InvalidRequest for a key that is empty or longer than 255 characters.
 */
export function idempotencyOf(request: Request, body: unknown): Idempotency | undefined {
  const key = request.headers["idempotency-key"];
  if (key === undefined) return undefined;
  if (typeof key !== "string" || !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new InvalidRequest("Idempotency-Key must have 1 to 255 visible ASCII characters", [
      { path: "header.idempotency-key", message: "not valid" },
    ]);
  }
  const hash = createHash("sha256").update(`${request.method} ${request.path}\n${canonicalJson(body)}`, "utf8");
  return { key, requestHash: hash.digest("base64url") };
}

/** The key of one of several submissions of a request. No client can send it: it holds a blank. */
export function keyOfPart({ key, requestHash }: Idempotency, part: number): Idempotency {
  return { key: `${part} ${createHash("sha256").update(key, "utf8").digest("base64url")}`, requestHash };
}

/** JSON with the keys of every object in order: two texts of one value hash alike. */
export function canonicalJson(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(",")}}`;
}
