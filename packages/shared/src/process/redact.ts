import { readFileSync } from "node:fs";

/** Names of environment variables whose values are nobody's business. */
const SECRET_NAME = /KEY|TOKEN|SECRET|PASSW|CREDENTIAL|DSN|AUTH|_UR[LI]$/i;
/** A shorter value is a flag or a number that would blot out half of a text. */
const MIN_SECRET = 6;

/**
 * The values of an environment that must not be kept anywhere: those of variables that are named like a secret or an address, given
 * directly or as a file (`…_FILE`), and the passwords within addresses. Longest first, so that none hides within another.
 */
export function secretsOf(env: NodeJS.ProcessEnv): string[] {
  const found = new Set<string>();
  const add = (value: string) => {
    if (value.length < MIN_SECRET) return;
    found.add(value);
    found.add(JSON.stringify(value).slice(1, -1)); // as it shows in a log line of JSON
  };
  for (const [name, given] of Object.entries(env)) {
    const isFile = name.endsWith("_FILE");
    if (given === undefined || !SECRET_NAME.test(isFile ? name.slice(0, -"_FILE".length) : name)) continue;
    const value = isFile ? readSecret(given) : given;
    if (value === undefined) continue;
    add(value);
    for (const password of passwordsOf(value)) add(password);
  }
  return [...found].toSorted((a, b) => b.length - a.length);
}

/** The text without these secrets, and without what looks like one: passwords of addresses, bearer tokens. */
export function redact(text: string, secrets: readonly string[]): string {
  let safe = text;
  for (const secret of secrets) safe = safe.replaceAll(secret, REDACTED);
  return safe
    .replace(/\b(\w+:\/\/[^\s:@/]*):[^\s@/]+@/g, `$1:${REDACTED}@`)
    .replace(/\b(bearer)\s+[\w.~+/=-]{8,}/gi, `$1 ${REDACTED}`);
}

const REDACTED = "[redacted]";

function readSecret(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** As it is written, and as what takes it apart would show it. */
function passwordsOf(address: string): string[] {
  const password = /^\w+:\/\/[^\s:@/]*:([^\s@/]+)@/.exec(address)?.[1];
  if (password === undefined) return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}
