import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { redact, secretsOf } from "./redact.ts";

const clean = (text: string, env: NodeJS.ProcessEnv = {}) => redact(text, secretsOf(env));

test.each([
  ["DATABASE_URL", "postgresql://me@db/flotilla"],
  ["REDIS_URI", "rediss://cache:6379"],
  ["OPENAI_API_KEY", "sk-1234567890"],
  ["GITHUB_TOKEN_2", "ghp_abcdef"],
  ["SECRET_KEY_BASE", "0123456789abcdef"],
  ["DB_PASSWORD", "hunter2!"],
  ["PRIVATE_KEY", 'two\nlines and a "quote"'],
])("the value of %s is not kept", (name, value) => {
  expect(clean(`before ${value} after`, { [name]: value })).toBe("before [redacted] after");
  expect(clean(JSON.stringify({ msg: value }), { [name]: value })).toBe('{"msg":"[redacted]"}');
});

test("neither is a secret that is given as a file, nor a password out of an address", () => {
  const folder = mkdtempSync(join(tmpdir(), "redact-"));
  try {
    writeFileSync(join(folder, "url"), "postgresql://me:p%40ssword@db/flotilla\n");
    const env = { DATABASE_URL_FILE: join(folder, "url"), API_KEY_FILE: join(folder, "none") };
    expect(clean("postgresql://me:p%40ssword@db/flotilla, p%40ssword and p@ssword", env)).toBe(
      "[redacted], [redacted] and [redacted]",
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a secret within another leaves nothing of the longer one", () => {
  expect(clean("abcdefghi", { A_KEY: "abcdef", B_KEY: "abcdefghi" })).toBe("[redacted]");
});

test("what looks like a secret is not kept whoever has it; flags and other variables are", () => {
  expect(clean("amqp://u:pass@host/ Authorization: Bearer abc.def-ghi")).toBe(
    "amqp://u:[redacted]@host/ Authorization: Bearer [redacted]",
  );
  expect(clean("true /home/me", { USE_TOKENS: "true", HOME: "/home/me" })).toBe("true /home/me");
});
