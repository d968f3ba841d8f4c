import * as z from "zod";
import { parseLinearPattern, type LinearPattern } from "./linear-pattern.ts";

/**
 * The `http` part of a langgraph.json: what of the API is served, where, to which web pages, and what of a request's headers
 * goes further. docs/langgraph-json.md says it to users; a test compares the two.
 */

/** An explicit null means absent, as in LangGraph's own schema. */
export const optional = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => value ?? undefined, schema.optional());

/** A header's name, RFC 9110; `*` is one of its characters, and stands for any characters in a pattern. */
const token = z.string().regex(/^[!#$%&'*+.^_`|~\w-]{1,256}$/, "must be the name of a header");
const namePattern = token.transform((name) => name.toLowerCase());

/** Which request headers: `*` in a name stands for any characters; what is excluded is not included. */
export const headerChoice = z.object({
  /** Nothing is included that is not named here. */
  includes: optional(z.array(namePattern).max(100)),
  excludes: optional(z.array(namePattern).max(100)),
});

/** An origin as browsers send it, or `*`: a slash at its end or a path would never match. */
const origin = z
  .string()
  .max(300)
  .regex(/^(\*|null|[a-z][a-z0-9+.-]*:\/\/[^\s/?#*,]+)$/, 'must be an origin such as "https://app.example", or "*"');

const originPattern = z.string().transform((source, context): LinearPattern => {
  try {
    return parseLinearPattern(source);
  } catch (error) {
    context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
    return z.NEVER;
  }
});

/** An origin that nobody means: what matches it matches anything. */
const STRANGER = "https://stranger.invalid";

/** Web pages that may call the API. `ALLOWED_ORIGINS`, where it is set, stands in for the two keys that name origins. */
export const corsSchema = z
  .object({
    /** Exact origins, or `*`. */
    allow_origins: optional(z.array(origin).max(1_000)),
    /** A pattern that an origin has to match as a whole. What would need backtracking is refused. */
    allow_origin_regex: optional(originPattern),
    /** Absent: all that the API has. */
    allow_methods: optional(z.array(z.string().regex(/^(\*|[A-Za-z]{1,32})$/, "must be a method or *")).max(50)),
    /** Absent, or with `*`: whatever a page asks for. `Content-Type` is always allowed. */
    allow_headers: optional(z.array(token).max(200)),
    /** Cookies and such. Never together with all origins. */
    allow_credentials: optional(z.boolean()),
    /** Besides those that clients of the API need. */
    expose_headers: optional(z.array(token).max(200)),
    /** How long a browser may keep the answer to a preflight, in seconds. */
    max_age: optional(z.number().int().min(0).max(86_400)),
  })
  .superRefine(({ allow_origins, allow_origin_regex, allow_credentials }, context) => {
    if (allow_credentials !== true) return;
    const all = allow_origins?.includes("*") === true || allow_origin_regex?.matches(STRANGER) === true;
    if (!all) return;
    const message = "credentials cannot be allowed to all origins; name them in allow_origins";
    context.addIssue({ code: "custom", path: ["allow_credentials"], message });
  });

/** What can be switched off, and is served at present. The rest of the `disable_` keys is accepted. */
const AREAS = ["assistants", "threads", "runs", "meta"] as const;
export type ApiArea = (typeof AREAS)[number];

const flag = optional(z.boolean());

/** A path: `/` before each part and none at the end; nothing that a router or a browser would take for more than a name. */
export const mountPrefix = z
  .string()
  .transform((path) => path.replace(/\/$/, ""))
  .pipe(z.string().regex(/^(\/(?!\.{1,2}(\/|$))[\w.~-]+){0,10}$/, 'must be a path such as "/api"'));

export const httpSchema = z.object({
  /** A custom app; not served yet. */
  app: optional(z.string()),
  /** Each makes the routes of its name a 404, in both dialects. */
  disable_assistants: flag,
  disable_threads: flag,
  disable_runs: flag,
  /** Meta: `/info`, `/metrics`, `/docs`, `/openapi.json`. Probes stay. */
  disable_meta: flag,
  disable_store: flag,
  disable_mcp: flag,
  disable_a2a: flag,
  disable_ui: flag,
  disable_webhooks: flag,
  cors: optional(corsSchema),
  /** Request headers that graphs find in `config.configurable`, by their names in lower case. None by default. */
  configurable_headers: optional(headerChoice),
  /** Request headers in the log line of a request. None by default. */
  logging_headers: optional(headerChoice),
  /** Everything is served below this path. `MOUNT_PREFIX`, where it is set, wins. */
  mount_prefix: optional(mountPrefix),
  /** Of custom apps: accepted. */
  middleware_order: optional(z.enum(["auth_first", "middleware_first"])),
  enable_custom_route_auth: flag,
});

export type HeaderChoice = z.output<typeof headerChoice>;
export type CorsKeys = z.output<typeof corsSchema>;

export interface HttpSettings {
  cors: CorsKeys | undefined;
  configurableHeaders: HeaderChoice;
  loggingHeaders: HeaderChoice;
  /** `""` or `/path`. */
  mountPrefix: string;
  disabled: ReadonlySet<ApiArea>;
}

export function httpSettingsOf(http: z.output<typeof httpSchema> = {}): HttpSettings {
  return {
    cors: http.cors,
    configurableHeaders: http.configurable_headers ?? {},
    loggingHeaders: http.logging_headers ?? {},
    mountPrefix: http.mount_prefix ?? "",
    disabled: new Set(AREAS.filter((area) => http[`disable_${area}`] === true)),
  };
}
