import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parseEnv as parseDotEnv } from "node:util";
import * as z from "zod";
import { InvalidGraphConfig, messageOf } from "../errors.ts";
import { checkpointerConfig, type ThreadTtlConfig } from "./checkpointer-config.ts";

/**
 * `langgraph.json` in the format of LangGraph's own CLI, as far as a JavaScript server needs it.
 * https://docs.langchain.com/langsmith/cli#configuration-file
 */
const graphEntry = z.union([z.string(), z.looseObject({ path: z.string(), description: z.string().optional() })]);
const schema = z.looseObject({
  graphs: z.record(z.string(), graphEntry).superRefine((graphs, context) => {
    for (const id of Object.keys(graphs)) {
      if (/^[A-Za-z0-9._-]{1,128}$/.test(id)) continue;
      const message = "a graph id is made of 1 to 128 letters, digits, '.', '_' and '-'";
      context.addIssue({ code: "custom", path: [id], message });
    }
  }),
  checkpointer: checkpointerConfig,
  env: z.union([z.string(), z.record(z.string(), z.coerce.string()), z.array(z.string())]).optional(),
  node_version: z.coerce.string().optional(),
  python_version: z.never({ error: "this server runs LangGraph.js graphs only; remove python_version" }).optional(),
});

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
  return {
    path: absolute,
    graphs: Object.entries(parsed.data.graphs).map(([id, entry]) => toEntry(id, entry, folder)),
    env: await readEnv(parsed.data.env, folder),
    threadTtl: parsed.data.checkpointer,
  };
}

function toEntry(id: string, entry: z.output<typeof graphEntry>, folder: string): GraphEntry {
  const { path, description } = typeof entry === "string" ? { path: entry, description: undefined } : entry;
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
