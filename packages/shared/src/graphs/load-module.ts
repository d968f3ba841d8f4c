import { pathToFileURL } from "node:url";
import { provideOnce } from "./provide-once.ts";

let typescript: Promise<unknown> | undefined;

/**
 * Imports a graph's module. TypeScript files are loaded without a build, through tsx, which is registered only when the first
 * one is asked for: a production image of compiled graphs does not pay for it. With it comes `@flotilla/once`, for projects
 * that have not installed it. In a package without `"type": "module"` a .ts file is CommonJS, which has loader hooks of its own.
 * @returns its exports; those of a CommonJS module as well, which Node shows under `default` only.
 */
export async function loadModule(file: string): Promise<Record<string, unknown>> {
  if (/\.[cm]?tsx?$/.test(file)) {
    typescript ??= registerTypeScript();
    await typescript;
  }
  const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  const inner = module["default"];
  return typeof inner === "object" && inner !== null && !("lc_runnable" in inner)
    ? { ...(inner as object), ...module }
    : module;
}

async function registerTypeScript(): Promise<void> {
  const [esm, cjs] = await Promise.all([import("tsx/esm/api"), import("tsx/cjs/api")]);
  cjs.register();
  esm.register();
  provideOnce();
}
