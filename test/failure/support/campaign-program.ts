import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";
import { afterAll } from "vitest";

// A campaign starts thousands of workers, and a worker's start is the loading of a thousand modules: 1.5 s of processor time.
// Packed into a few files together with the campaign's graphs, the same program starts in a third of that.

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const MAIN = join(ROOT, "apps/worker/dist/main.js");
const LEASE_THREAD = join(ROOT, "apps/worker/dist/runs/lease-thread.js");
const GRAPHS = join(ROOT, "test/failure/scenarios/graphs.ts");
const CONFIG = join(ROOT, "test/failure/scenarios/langgraph.json");

export interface CampaignProgram {
  /** The worker's program. */
  file: string;
  /** The langgraph.json of the campaign's graphs. */
  config: string;
}

let program: Promise<CampaignProgram> | undefined;
let folder: string | undefined;
afterAll(() => folder && rm(folder, { recursive: true, force: true }));

/** The packed worker; packed when it is first asked for. */
export function campaignProgram(): Promise<CampaignProgram> {
  return (program ??= pack());
}

async function pack(): Promise<CampaignProgram> {
  folder = await mkdtemp(join(tmpdir(), "flotilla-campaign-"));
  await build({
    entryPoints: { main: MAIN, "lease-thread": LEASE_THREAD, graphs: GRAPHS },
    outdir: folder,
    bundle: true,
    splitting: true, // one copy of LangGraph for the worker and its graphs
    platform: "node",
    format: "esm",
    outExtension: { ".js": ".mjs" },
    banner: {
      js: 'import { createRequire as requireOf } from "node:module"; const require = requireOf(import.meta.url);',
    },
    plugins: [ownUrls],
    logLevel: "error",
  });
  const config = join(folder, "langgraph.json");
  await writeFile(config, (await readFile(CONFIG, "utf8")).replaceAll("graphs.ts:", "graphs.mjs:"));
  return { file: join(folder, "main.mjs"), config };
}

/** What the shared package finds beside its files (migrations, its package.json) is found where it was. */
const ownUrls: Plugin = {
  name: "own-urls",
  setup: ({ onLoad }) => {
    onLoad({ filter: /packages\/shared\/dist\/.*\.js$/ }, async ({ path }) => {
      const url = JSON.stringify(pathToFileURL(path).href);
      return { contents: (await readFile(path, "utf8")).replaceAll("import.meta.url", url) };
    });
  },
};
