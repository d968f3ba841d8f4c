import { pathToFileURL } from "node:url";

let typescript: Promise<unknown> | undefined;

/**
 * Imports a graph's module. TypeScript files are loaded without a build, through tsx, which is registered only when the first
 * one is asked for: a production image of compiled graphs does not pay for it.
 */
export async function loadModule(file: string): Promise<Record<string, unknown>> {
  if (/\.[cm]?tsx?$/.test(file)) {
    typescript ??= import("tsx/esm/api").then(({ register }) => register());
    await typescript;
  }
  return (await import(pathToFileURL(file).href)) as Record<string, unknown>;
}
