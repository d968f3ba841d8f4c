import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parseEnv as parseDotEnv } from "node:util";
import * as z from "zod";
import { InvalidGraphConfig, messageOf } from "../errors.ts";
import { checkpointerSchema, threadTtlOf, ttlSchema, type ThreadTtlConfig } from "./checkpointer-config.ts";
import type { Logger } from "../process/logger.ts";
import { corsSchema, headerChoice, httpSchema, httpSettingsOf, optional, type HttpSettings } from "./http-settings.ts";
import { unknownKeys } from "./unknown-keys.ts";

/**
 * `langgraph.json` in the format of LangGraph's own CLI: every key that a JavaScript server may find there. What this one does
 * with each of them is in docs/langgraph-json.md, which a test holds against these schemas.
 * https://docs.langchain.com/langsmith/cli#configuration-file
 */

/** `"./file.ts:export"` is short for `{"path": "./file.ts:export"}`. */
const graphEntrySchema = z.object({
  /** Relative to the langgraph.json. Without an export it is the default one. */
  path: z.string().min(1),
  description: optional(z.string()),
});
const graphEntry = z.preprocess(
  (entry) => (typeof entry === "string" ? { path: entry } : entry),
  z.looseObject({}, { error: 'must be "./file.ts:export" or {"path": "./file.ts:export"}' }).pipe(graphEntrySchema),
);

const envValue = z
  .union([z.string(), z.number(), z.boolean()], { error: "must be text, a number or a flag" })
  .transform(String);

/** Accepted, whatever it is. */
const anything = z.unknown().optional();

/** What only `langgraph build` and its image look at. */
const BUILD_KEYS = {
  api_version: anything,
  base_image: anything,
  dependencies: anything,
  dockerfile_lines: anything,
  image_distro: anything,
  keep_pkg_tools: anything,
  node_loader: anything,
  pip_config_file: anything,
  pip_installer: anything,
};

/** Parts of the server that are not there yet, and a log line at the start says so: `auth` that is not heeded must not look as if it were. */
const FUTURE_KEYS = {
  auth: anything,
  store: anything,
  ui: anything,
  ui_config: anything,
  webhooks: anything,
};

const schema = z.object({
  $schema: anything,
  /** Graph id to where the graph is. */
  graphs: z.record(z.string(), graphEntry).superRefine((graphs, context) => {
    for (const id of Object.keys(graphs)) {
      if (/^[A-Za-z0-9._-]{1,128}$/.test(id)) continue;
      const message = "a graph id is made of 1 to 128 letters, digits, '.', '_' and '-'";
      context.addIssue({ code: "custom", path: [id], message });
    }
  }),
  /** Variables for the graphs: a file, a map, or only the names of what the environment has to bring. */
  env: optional(
    z.union([z.string(), z.array(z.string()), z.record(z.string(), envValue)], {
      error: "must be the path of a file, a map of names to values, or a list of names",
    }),
  ),
  /** Chosen by whoever starts the server. */
  node_version: optional(z.union([z.string(), z.number()], { error: 'must be a version such as "20"' })),
  python_version: z.never({ error: "this server runs LangGraph.js graphs only; remove python_version" }).optional(),
  http: optional(httpSchema),
  /** The saver is the server's own; how long threads live is said here. */
  checkpointer: optional(checkpointerSchema),
  ...BUILD_KEYS,
  ...FUTURE_KEYS,
});

/** The objects of the file, and the keys that each may have; `*` is any key. */
export const KNOWN_KEYS: readonly { path: readonly string[]; keys: readonly string[] }[] = [
  { path: [], keys: Object.keys(schema.shape) },
  { path: ["graphs", "*"], keys: Object.keys(graphEntrySchema.shape) },
  { path: ["checkpointer"], keys: Object.keys(checkpointerSchema.shape) },
  { path: ["checkpointer", "ttl"], keys: Object.keys(ttlSchema.shape) },
  { path: ["http"], keys: Object.keys(httpSchema.shape) },
  { path: ["http", "cors"], keys: Object.keys(corsSchema.shape) },
  { path: ["http", "configurable_headers"], keys: Object.keys(headerChoice.shape) },
  { path: ["http", "logging_headers"], keys: Object.keys(headerChoice.shape) },
];

export interface GraphEntry {
  id: string;
  /** Absolute path of the module. */
  file: string;
  exportName: string;
  description: string | undefined;
}

export interface GraphConfig {
  /** Absolute path of the langgraph.json. */
  path: string;
  graphs: GraphEntry[];
  /** Variables for the graphs, from the `env` file or map. */
  env: Record<string, string>;
  http: HttpSettings;
  /** What whoever wrote the file should know: keys without an effect, and variables that are missing. */
  notices(env: NodeJS.ProcessEnv): string[];
  threadTtl: ThreadTtlConfig;
}

/** @throws InvalidGraphConfig naming the file and every problem in it. */
export async function readGraphConfig(path: string): Promise<GraphConfig> {
  const absolute = resolve(path);
  const text = await readFile(absolute, "utf8").catch((error: unknown) => {
    throw new InvalidGraphConfig(`Cannot read ${absolute}: ${messageOf(error)}`);
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InvalidGraphConfig(`${absolute} is not JSON: ${messageOf(error)}`);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new InvalidGraphConfig(`${absolute} is not valid:\n${z.prettifyError(parsed.error)}`);
  const folder = dirname(absolute);
  const { graphs, env, http, checkpointer } = parsed.data;
  const without = [...unknownKeys(json, KNOWN_KEYS), ...futureKeys(parsed.data)];
  return {
    path: absolute,
    graphs: Object.entries(graphs).map(([id, entry]) => toEntry(id, entry, folder)),
    env: await readEnv(env, folder),
    http: httpSettingsOf(http),
    notices: (given) => [...without, ...missingVariables(env, given)],
    threadTtl: threadTtlOf(checkpointer),
  };
}

/** Gives the graphs their variables, under what the environment says already, and says what the file has without effect. */
export function applyGraphConfig(config: GraphConfig, env: NodeJS.ProcessEnv, logger: Logger): void {
  for (const [name, value] of Object.entries(config.env)) env[name] ??= value;
  for (const notice of config.notices(env)) logger.warn({ file: config.path }, notice);
}

function futureKeys({ http, ...top }: z.output<typeof schema>): string[] {
  const given = Object.keys(FUTURE_KEYS).filter((key) => top[key as keyof typeof FUTURE_KEYS] !== undefined);
  if (http?.app !== undefined) given.push("http.app");
  return given.map((key) => `"${key}" has no effect: this version of Flotilla does not have what it configures`);
}

/** The variables that a list only names are the environment's to bring. */
function missingVariables(env: z.output<typeof schema>["env"], given: NodeJS.ProcessEnv): string[] {
  const missing = Array.isArray(env) ? env.filter((name) => given[name] === undefined) : [];
  return missing.map((name) => `the environment has no ${name}, which "env" names`);
}

function toEntry(id: string, { path, description }: z.output<typeof graphEntry>, folder: string): GraphEntry {
  const colon = path.lastIndexOf(":");
  const [file, exportName] = colon > 1 ? [path.slice(0, colon), path.slice(colon + 1)] : [path, "default"];
  return { id, file: resolve(folder, file), exportName, description };
}

async function readEnv(env: z.output<typeof schema>["env"], folder: string): Promise<Record<string, string>> {
  if (env === undefined || Array.isArray(env)) return {}; // a list only names what the environment must provide
  if (typeof env !== "string") return env;
  const text = await readFile(resolve(folder, env), "utf8").catch(() => undefined);
  return text === undefined ? {} : (parseDotEnv(text) as Record<string, string>);
}
