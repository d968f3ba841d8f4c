import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { givenAddress, processEnvironment, withoutPassword } from "./settings.ts";

const SETTLED = { DATABASE_URL: "postgres://ours", REDIS_URL: "redis://ours", FLOTILLA_CONFIG: "/langgraph.json" };

test("an address may come under either name, or from a file", () => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-settings-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "url"), "postgres://from-file\n");

  const given = (env: NodeJS.ProcessEnv) => givenAddress("postgres", env);
  const [a, b] = ["postgres://a", "postgres://b"];
  expect(given({ DATABASE_URL: a, DATABASE_URI: b })).toEqual({ variable: "DATABASE_URL", address: a });
  expect(given({ DATABASE_URI: b })).toEqual({ variable: "DATABASE_URI", address: b });
  expect(given({ DATABASE_URL_FILE: join(folder, "url") })).toEqual({
    variable: "DATABASE_URL_FILE",
    address: "postgres://from-file",
  });
  expect(() => given({ DATABASE_URL_FILE: join(folder, "none") })).toThrow(/^DATABASE_URL_FILE: cannot read .*none/);
  expect(givenAddress("redis", { REDIS_URL: "" })).toBeUndefined();
});

test("the processes get the environment of the start, but one address each", () => {
  const env = processEnvironment(
    { OPENAI_API_KEY: "k", DATABASE_URI: "postgres://theirs", REDIS_URL_FILE: "/f" },
    SETTLED,
  );
  expect(env).toEqual({ OPENAI_API_KEY: "k", ...SETTLED });
});

test("a password does not get on the screen", () => {
  expect(withoutPassword("postgres://me:secret@db.example:5432/app")).not.toContain("secret");
  expect(withoutPassword("host=db password=secret")).not.toContain("secret");
});
