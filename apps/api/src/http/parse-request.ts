import type { Request } from "express";
import type * as z from "zod";
import { BadRequest, InvalidRequest, type Problem } from "@flotilla/shared/errors";
import type { Route } from "./route.ts";

/** The body as it came, JSON text; undefined when there was none. Set by the text parser in app.ts. */
export type TextRequest = Request & { body: unknown };

export interface ParsedRequest {
  params: unknown;
  query: unknown;
  body: unknown;
}

/**
 * The request's parts by the route's schemas.
 * @throws BadRequest for a body that is not JSON, and for JSON in body or query that is too deep; InvalidRequest with the path of every problem.
 */
export function parseRequest(route: Route, request: TextRequest, maxDepth: number): ParsedRequest {
  const problems: Problem[] = [];
  const part = (where: string, schema: z.ZodType | undefined, value: unknown): unknown => {
    if (schema === undefined) return {};
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      problems.push({ path: [where, ...issue.path].join("."), message: issue.message });
    }
    return undefined;
  };
  const parsed = {
    params: part("path", route.params, request.params),
    query: part("query", route.query, request.query),
    body: part("body", route.body, route.body === undefined ? undefined : parseBody(request.body, maxDepth)),
  };
  for (const value of Object.values(parsed.query ?? {})) checkShape(value, maxDepth, "The query");
  if (problems.length === 0) return parsed;
  const text = problems.map(({ path, message }) => `${path}: ${message}`).join("; ");
  throw new InvalidRequest(`The request is not valid: ${text}`, problems);
}

/** Clients may send no content type or the wrong one; a body is JSON whatever it says. No body is an empty object. */
function parseBody(text: unknown, maxDepth: number): unknown {
  if (typeof text !== "string" || text.trim() === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadRequest("The body is not JSON");
  }
  checkShape(value, maxDepth, "The body");
  return value;
}

/** Refuses what is nested too deep, and keys that would reach a prototype in code that is less careful than ours. */
function checkShape(root: unknown, maxDepth: number, what: string): void {
  let level: object[] = typeof root === "object" && root !== null ? [root] : [];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > maxDepth) throw new BadRequest(`${what} is nested deeper than ${maxDepth} levels`);
    const next: object[] = [];
    for (const value of level) {
      if (Object.hasOwn(value, "__proto__"))
        throw new BadRequest(`${what} has a key "__proto__", which is not allowed`);
      for (const inner of Object.values(value))
        if (typeof inner === "object" && inner !== null) next.push(inner as object);
    }
    level = next;
  }
}
