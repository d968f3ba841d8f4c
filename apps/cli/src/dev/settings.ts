import { readFileSync } from "node:fs";
import { reasonOf, StartupError } from "../stack/startup-error.ts";
import { USAGE_ERROR } from "./exit-codes.ts";

/** The names under which people set an address; each also as NAME_FILE with a file that holds it. */
const ADDRESS_NAMES = {
  postgres: ["DATABASE_URL", "DATABASE_URI"],
  redis: ["REDIS_URL", "REDIS_URI"],
} as const;

/** The address of a server that somebody else runs, and the variable that names it. */
export interface GivenAddress {
  readonly variable: string;
  readonly address: string;
}

/**
 * The address of a database that somebody else runs, when the environment names one.
 * @throws StartupError when it names a file that cannot be read.
 */
export function givenAddress(kind: keyof typeof ADDRESS_NAMES, env: NodeJS.ProcessEnv): GivenAddress | undefined {
  for (const name of ADDRESS_NAMES[kind]) {
    const value = env[name];
    if (value) return { variable: name, address: value };
    const file = env[`${name}_FILE`];
    const content = file && readAddress(kind, `${name}_FILE`, file);
    if (content) return { variable: `${name}_FILE`, address: content };
  }
  return undefined;
}

/** Names another address before a command. A value comes before a file, so a variable with the file's name is not needed. */
export function withAddress({ variable }: Pick<GivenAddress, "variable">, address: string, command: string): string {
  return `${variable.replace(/_FILE$/, "")}=${address} ${command}`;
}

/** The same command in an environment that does not name a server. */
export function withoutAddress({ variable }: Pick<GivenAddress, "variable">, command: string): string {
  return `env -u ${variable} ${command}`;
}

function readAddress(part: string, variable: string, file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new StartupError(part, `${variable}: cannot read ${file} (${reasonOf(error)})`, {
      remedy: `ls -l ${file}   (it has to hold the address), or: unset ${variable}`,
      exitCode: USAGE_ERROR,
      cause: error,
    });
  }
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
