import type { IncomingHttpHeaders } from "node:http";
import type { HeaderChoice } from "@flotilla/shared/graphs/http-settings";

/** What says who calls this server. No choice lets these through. */
const CREDENTIALS = new Set([
  "authorization",
  "cookie",
  "proxy-authorization",
  "set-cookie",
  "x-api-key",
  "x-service-key",
  "x-tenant-id",
]);
/** What looks like somebody's secret goes through under its full name only, not because a pattern happens to match it. */
const SECRET = /token|secret|passw|credential|session|jwt|auth|api-?key|signature/;
/** Keys of `configurable` that are the server's to set, and what LangGraph keeps to itself. */
export const SERVER_KEYS = /^(__|langgraph_|user_id$|thread_id$|run_id$|graph_id$|assistant_id$|checkpoint_)/;

/**
 * Picks from a request's headers those that a langgraph.json lets through, by their names in lower case.
 * @param never names that are not picked whatever the file says, besides those of credentials
 */
export class HeaderPicker {
  readonly #includes: readonly string[];
  readonly #excludes: readonly string[];

  readonly #never: RegExp | undefined;

  constructor({ includes = [], excludes = [] }: HeaderChoice, never?: RegExp) {
    this.#includes = includes;
    this.#excludes = excludes;
    this.#never = never;
  }

  /** Whether there is anything that it might pick. */
  get picks(): boolean {
    return this.#includes.length > 0;
  }

  of(headers: IncomingHttpHeaders): Record<string, string> {
    if (!this.picks) return {};
    const picked = Object.entries(headers).filter(([name, value]) => typeof value === "string" && this.#takes(name));
    return Object.fromEntries(picked) as Record<string, string>;
  }

  #takes(name: string): boolean {
    if (CREDENTIALS.has(name) || this.#never?.test(name) === true) return false;
    if (this.#excludes.some((pattern) => matchesPattern(pattern, name))) return false;
    if (SECRET.test(name)) return this.#includes.includes(name);
    return this.#includes.some((pattern) => matchesPattern(pattern, name));
  }
}

/** `*` stands for any characters. Not by a regular expression: the name is a stranger's, and several `*` make those slow. */
export function matchesPattern(pattern: string, name: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return name === pattern;
  if (!name.startsWith(first) || name.length < first.length + last.length || !name.endsWith(last)) return false;
  const end = name.length - last.length;
  let at = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
