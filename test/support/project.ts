import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

const folders: string[] = [];
afterAll(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })));

/** A langgraph.json of its own, with files beside it. @returns its path. */
export function writeProject(config: unknown, files: Record<string, string> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-project-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const path = join(folder, "langgraph.json");
  writeFileSync(path, typeof config === "string" ? config : JSON.stringify(config));
  return path;
}

/** One of the graphs of test/graphs, as a langgraph.json elsewhere names it: `graphAt("echo.ts:graph")`. */
export function graphAt(spec: string): string {
  return fileURLToPath(new URL("../graphs/", import.meta.url)) + spec;
}
