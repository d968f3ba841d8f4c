import Module, { createRequire, register } from "node:module";
import { pathToFileURL } from "node:url";

const NAME = "@flotilla/once";

/**
 * Lets graphs import `@flotilla/once` that have not installed it: who has, gets his own copy, which finds this process as well.
 * It must be there before the first graph is loaded, because Node remembers an import that failed.
 */
export function provideOnce(): void {
  const file = ownCopy();
  if (file === undefined) return;
  const url = pathToFileURL(file).href;
  register(`data:text/javascript,${encodeURIComponent(hook(url))}`);
  provideToCommonJs(file);
}

/** Undefined where this process is packed into files of its own. */
function ownCopy(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(NAME);
  } catch {
    return undefined;
  }
}

const hook = (url: string) => `export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (specifier !== "${NAME}" || error?.code !== "ERR_MODULE_NOT_FOUND") throw error;
    return { url: "${url}", format: "module", shortCircuit: true };
  }
}`;

/** `require` asks this function, which other loaders take the place of as well; Node 20 has no other way. */
function provideToCommonJs(file: string): void {
  const modules = Module as unknown as { _resolveFilename(request: string, ...rest: unknown[]): string };
  const original = modules._resolveFilename;
  modules._resolveFilename = function (request, ...rest) {
    try {
      return original.call(this, request, ...rest);
    } catch (error) {
      if (request !== NAME || (error as { code?: string }).code !== "MODULE_NOT_FOUND") throw error;
      return file;
    }
  };
}
