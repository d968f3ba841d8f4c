import { readFileSync } from "node:fs";

/** The names under which people set an address; each also as NAME_FILE with a file that holds it. */
const ADDRESS_NAMES = {
  postgres: ["DATABASE_URL", "DATABASE_URI"],
  redis: ["REDIS_URL", "REDIS_URI"],
} as const;

/** The address of a database that somebody else runs, when the environment names one. */
export function givenAddress(kind: keyof typeof ADDRESS_NAMES, env: NodeJS.ProcessEnv): string | undefined {
  for (const name of ADDRESS_NAMES[kind]) {
    const file = env[`${name}_FILE`];
    const value = env[name] || (file && readFileSync(file, "utf8").trim());
    if (value) return value;
  }
  return undefined;
}

/** The environment for our processes: that of `npm start`, with the addresses settled under one name each. */
export function processEnvironment(
  env: NodeJS.ProcessEnv,
  settled: Record<"DATABASE_URL" | "REDIS_URL" | "FLOTILLA_CONFIG", string>,
): NodeJS.ProcessEnv {
  const names = Object.values(ADDRESS_NAMES).flat();
  const aliases = new Set<string>(names.flatMap((name) => [name, `${name}_FILE`]));
  const rest = Object.entries(env).filter(([name]) => !aliases.has(name));
  return { ...Object.fromEntries(rest), ...settled };
}

/** An address without its password, for the screen. */
export function withoutPassword(address: string): string {
  try {
    const url = new URL(address);
    if (url.password) url.password = "…";
    return decodeURI(url.href);
  } catch {
    return "the given address";
  }
}
