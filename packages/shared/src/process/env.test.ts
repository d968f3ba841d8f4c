import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as z from "zod";
import { count, flag, parseEnv, seconds } from "./env.ts";

const schema = z.object({
  DATABASE_URL: z.string(),
  LEASE_SECS: seconds.default(6),
  POOL: count.default(3),
  ON: flag.default(false),
});

test("text becomes numbers and flags, and defaults fill in", () => {
  expect(parseEnv(schema, { DATABASE_URL: "x", LEASE_SECS: "30", ON: "true" })).toEqual({
    DATABASE_URL: "x",
    LEASE_SECS: 30,
    POOL: 3,
    ON: true,
  });
  expect(parseEnv(schema, { DATABASE_URL: "x", ON: "false" }).ON).toBe(false);
});

test("all problems come in one message", () => {
  const parse = () => parseEnv(schema, { LEASE_SECS: "soon", POOL: "-1", ON: "maybe" });
  for (const name of ["DATABASE_URL", "LEASE_SECS", "POOL", "ON"]) expect(parse).toThrow(name);
});

test("an empty variable counts as absent, and the field's other names stand in", () => {
  expect(parseEnv(schema, { DATABASE_URL: "", DATABASE_URI: "y", LEASE_SECS: "" })).toMatchObject({
    DATABASE_URL: "y",
    LEASE_SECS: 6,
  });
});

test("a secret may be given as a file, and a missing file is named", () => {
  const folder = mkdtempSync(join(tmpdir(), "env-"));
  try {
    writeFileSync(join(folder, "url"), "from-file\n");
    expect(parseEnv(schema, { DATABASE_URL_FILE: join(folder, "url") }).DATABASE_URL).toBe("from-file");
    expect(() => parseEnv(schema, { DATABASE_URL_FILE: join(folder, "none") })).toThrow("DATABASE_URL_FILE");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
