import { join } from "node:path";
import { formatDuration, style } from "../terminal.ts";
import { npmRun, type Choice } from "./commands.ts";
import { displayPath, type DevStack } from "./dev-stack.ts";
import type { Project } from "./project.ts";

export interface Running {
  readonly choice: Choice;
  readonly url: string;
  readonly workers: number;
  readonly databases: DevStack["databases"];
  readonly project: Project;
  readonly stateFolder: string;
}

/** The graph of the example project that shows most: documents go through several agents. */
const SHOWCASE = "document_processor";

/** Pages that a gateway may have; shown when they answer. */
const PAGES = { docs: "/docs", console: "/console", metrics: "/metrics" };

/** What the user sees when everything is up: where it is, and commands to try. */
export async function describeRunning({
  choice,
  url,
  workers,
  databases,
  project,
  stateFolder,
}: Running): Promise<string> {
  const pages = await Promise.all(
    Object.entries(PAGES).map(async ([name, path]) => ((await answers(url + path)) ? `${name} ${url}${path}` : "")),
  );
  const rows = {
    api: style("bold", url),
    "": pages.filter(Boolean).join("   "),
    graphs: project.graphIds.join(", "),
    workers: String(workers),
    postgres: databases.postgres,
    redis: databases.redis,
    logs: displayPath(join(stateFolder, "logs")),
  };
  const table = Object.entries(rows)
    .filter(([, text]) => text !== "")
    .map(([name, text]) => `  ${style("dim", name.padEnd(9))} ${text}`);
  return [
    "",
    style("green", `Flotilla is running`) + style("dim", ` (after ${formatDuration(performance.now())})`),
    "",
    ...table,
    "",
    "Try it, in another terminal:",
    "",
    ...commandsToTry(choice, url, project).map((command) => `  ${style("bold", command)}`),
    "",
    style("dim", "Ctrl-C stops everything; runs that are going on continue at the next start."),
  ].join("\n");
}

/** Commands that can be copied as they are and mean this start: some that show, one that is plain HTTP. */
export function commandsToTry(choice: Choice, url: string, project: Pick<Project, "graphIds">): string[] {
  const isExample = project.graphIds.includes(SHOWCASE);
  const graph = isExample ? SHOWCASE : (project.graphIds[0] ?? "");
  const text = "Invoice 4711 of 3 May 2026\nGreen Energy Ltd, London\nTotal due: EUR 1,250.00 by 2 June 2026";
  const input = isExample ? { documents: [{ name: "invoice.txt", media_type: "text/plain", text }] } : {};
  const body = JSON.stringify({ input, stream_mode: ["updates", "custom"] });
  const stream = `curl -N ${url}/graphs/${graph}/stream -H 'content-type: application/json' -d '${body}'`;
  if (!isExample) return [`curl -s ${url}/info`, stream];
  return [npmRun("demo", choice), npmRun("demo", choice, "--slow"), stream];
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.arrayBuffer(); // or the connection stays busy, and the gateway waits for it at its stop
    return response.ok;
  } catch {
    return false;
  }
}
