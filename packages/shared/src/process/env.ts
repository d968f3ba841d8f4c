import { readFileSync } from "node:fs";
import * as z from "zod";
import { InvalidEnvironment } from "../errors.ts";

/** Env flags are text: z.coerce.boolean would read "false" as true. */
export const flag = z.stringbool();
/** A whole number of seconds above zero. */
export const seconds = z.coerce.number().int().positive();
/** A number of days above zero, fractions too. */
export const days = z.coerce.number().positive().max(36_500);
/** A whole number above zero. */
export const count = z.coerce.number().int().positive();
/** A TCP port; 0 lets the system choose. */
export const port = z.coerce.number().int().min(0).max(65_535);

/** Names that the field uses for one setting: the second stands in for the first when that is unset. */
const ALIASES: Record<string, string> = {
  DATABASE_URL: "DATABASE_URI",
  REDIS_URL: "REDIS_URI",
  ALLOWED_ORIGINS: "CORS_ALLOW_ORIGINS",
};

/**
 * Parses the environment once, with all problems in one message.
 * Every setting may also be given as a file: `DATABASE_URL_FILE=/run/secrets/db` reads DATABASE_URL from there.
 * @throws InvalidEnvironment naming each setting that is missing or wrong.
 */
export function parseEnv<S extends z.ZodObject>(schema: S, env: NodeJS.ProcessEnv): Readonly<z.output<S>> {
  const given: Record<string, string> = {};
  const problems: string[] = [];
  for (const name of Object.keys(schema.shape)) {
    try {
      const value = readSetting(name, env) ?? (ALIASES[name] ? readSetting(ALIASES[name], env) : undefined);
      if (value !== undefined) given[name] = value;
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  const parsed = schema.safeParse(given);
  if (parsed.success && problems.length === 0) return Object.freeze(parsed.data);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) problems.push(`${issue.path.join(".")}: ${issue.message}`);
  }
  throw new InvalidEnvironment(`The environment is not valid:\n${problems.map((p) => `  ${p}`).join("\n")}`);
}

function readSetting(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const direct = env[name];
  if (direct !== undefined && direct !== "") return direct;
  const file = env[`${name}_FILE`];
  if (file === undefined || file === "") return undefined;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new InvalidEnvironment(`${name}_FILE: cannot read ${file}`, { cause: error });
  }
}
