/** Escapes that `jsonb` refuses, and any other escape, so that an escaped backslash is never split. */
const ESCAPES = /\\(u0000|ud[89ab][0-9a-f]{2}|ud[c-f][0-9a-f]{2}|[\s\S])/gi;

/**
 * JSON text that Postgres takes as `jsonb`: NUL and lone surrogates, which it refuses, become U+FFFD.
 * `JSON.stringify` writes a paired surrogate as itself, so an escaped one is always lone.
 */
export function toJsonb(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  if (!text.includes("\\u0000") && !text.includes("\\ud")) return text;
  return text.replace(ESCAPES, (escape, what: string) =>
    what.length === 5 && what !== "u" ? replaced(what, escape) : escape,
  );
}

function replaced(what: string, escape: string): string {
  return what === "u0000" || /^ud[89a-f]/i.test(what) ? "\\ufffd" : escape;
}
