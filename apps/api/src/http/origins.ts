import cors from "cors";
import type { RequestHandler } from "express";
import type { CorsKeys } from "@flotilla/shared/graphs/http-settings";
import type { LinearPattern } from "@flotilla/shared/graphs/linear-pattern";

/** No origin of a web page is longer: a host's name has at most 253 characters. */
const MAX_ORIGIN = 300;
/** What clients of the API read. */
const EXPOSED_HEADERS = ["Content-Location", "Location", "X-Pagination-Total", "X-Pagination-Next", "X-Request-Id"];

/** The web pages that may call the API. */
export class AllowedOrigins {
  readonly all: boolean;
  readonly #named: ReadonlySet<string>;
  readonly #pattern: LinearPattern | undefined;

  constructor(named: readonly string[], pattern: LinearPattern | undefined) {
    this.all = named.includes("*");
    this.#named = new Set(named);
    this.#pattern = pattern;
  }

  get none(): boolean {
    return this.#named.size === 0 && this.#pattern === undefined;
  }

  /** A page without an origin of its own ("null") only by that name, or with all. */
  allows(origin: string): boolean {
    if (this.all || this.#named.has(origin)) return true;
    if (this.#pattern === undefined || origin.length > MAX_ORIGIN || !origin.includes("://")) return false;
    return this.#pattern.matches(origin);
  }
}

export interface CorsRules extends Omit<CorsKeys, "allow_origins" | "allow_origin_regex"> {
  origins: AllowedOrigins;
}

/**
 * Origins of the environment take the place of the file's: whoever runs the server has the last word. Of the other rules the
 * file's hold. Credentials never go with all origins; pages that the environment names may send them unless the file says
 * otherwise, those that the file names only if it says so, as in LangGraph.
 */
export function corsRulesOf(fromEnvironment: readonly string[], file: CorsKeys = {}): CorsRules {
  const { allow_origins: named = [], allow_origin_regex: pattern, ...rules } = file;
  const isSet = fromEnvironment.length > 0;
  const origins = isSet ? new AllowedOrigins(fromEnvironment, undefined) : new AllowedOrigins(named, pattern);
  return { ...rules, origins, allow_credentials: !origins.all && (rules.allow_credentials ?? isSet) };
}

/** Answers preflights and marks answers. Without any origin it does nothing at all. */
export function allowOrigins({ origins, ...rules }: CorsRules): RequestHandler {
  const methods = rules.allow_methods ?? ["*"];
  const headers = rules.allow_headers ?? ["*"];
  const options: cors.CorsOptions = {
    exposedHeaders: [...EXPOSED_HEADERS, ...(rules.expose_headers ?? [])],
    ...(rules.allow_credentials === true ? { credentials: true } : {}),
    ...(methods.includes("*") ? {} : { methods: methods.map((method) => method.toUpperCase()) }),
    // Not named: what the page asks for is granted, as browsers do not take "*" for everything where there are credentials.
    ...(headers.includes("*") ? {} : { allowedHeaders: ["Content-Type", ...headers] }),
    ...(rules.max_age === undefined ? {} : { maxAge: rules.max_age }),
  };
  if (origins.none) return (_request, _response, next) => next();
  if (origins.all) return cors({ ...options, origin: "*" });
  return cors((request, done) => {
    const { origin } = request.headers;
    // A list, if an empty one: then a cache is told that the answer depends on the origin.
    done(null, { ...options, origin: origin !== undefined && origins.allows(origin) ? [origin] : [] });
  });
}
