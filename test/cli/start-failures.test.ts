import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import { knownProcess, type DevNotes } from "../../apps/cli/src/dev/dev-lock.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { withDatabase } from "../support/sql.ts";

const CHECKOUT = fileURLToPath(new URL("../../", import.meta.url));
const PROGRAM = join(CHECKOUT, "apps/cli/dist/main.js");
/** Nobody listens there. */
const NOWHERE = "127.0.0.1:1";

let database: TestDatabase;
let given: { DATABASE_URL: string; REDIS_URL: string };

beforeAll(async () => {
  database = await createTestDatabase();
  given = { DATABASE_URL: database.url, REDIS_URL: inject("redisUrl") };
});

/** A command of the compiled program in an environment of its own: both servers given, unless said otherwise. */
function flotilla(args: readonly string[], env: NodeJS.ProcessEnv = {}): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], {
    cwd: CHECKOUT,
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], NO_COLOR: "1", ...env },
    encoding: "utf8",
    timeout: 50_000,
  });
  return { status, output: stdout + stderr };
}

function failingStart(env: NodeJS.ProcessEnv, args: readonly string[] = []): { status: number | null; output: string } {
  const result = flotilla(["dev", "--port", "0", "--state", makeFolder(), ...args], { ...given, ...env });
  expect(result.output).not.toContain("Flotilla is running");
  expect(result.output, "a stack trace").not.toMatch(/^\s+at /m);
  return result;
}

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-failure-"));
  chmodSync(folder, 0o755);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The address of the tests' Postgres with something changed. */
function changed(change: (url: URL) => void): string {
  const url = new URL(given.DATABASE_URL);
  change(url);
  return url.href;
}

describe("a DATABASE_URL that does not do", () => {
  test("nobody listens there: it is said where, and how to start without it", () => {
    const { status, output } = failingStart({ DATABASE_URL: `postgres://me:secret@${NOWHERE}/app` });
    expect(status).toBe(1);
    expect(output).toContain(`✘ postgres: DATABASE_URL: no Postgres can be reached at ${NOWHERE}`);
    expect(output).toMatch(/fix: pg_isready --host 127\.0\.0\.1 --port 1\b/);
    expect(output).toMatch(/or env -u DATABASE_URL npm start -- --port 0 --state \S+ /);
    expect(output).not.toContain("secret");
    expect(output).not.toContain("postgres.log");
  });

  test("the password is wrong: the variable is named with the place of the right one", () => {
    const { output } = failingStart({ DATABASE_URL: changed((url) => (url.password = "guessed")) });
    expect(output).toMatch(/✘ postgres: DATABASE_URL: the Postgres at \S+ refuses user \w+ \(password authentication/);
    expect(output).toMatch(/fix: DATABASE_URL=postgres:\/\/\w+:password@\S+\/\w+ npm start/);
  });

  test("the database does not exist: the command makes it", () => {
    const { output } = failingStart({ DATABASE_URL: withDatabase(given.DATABASE_URL, "not_there") });
    expect(output).toContain("has no database not_there");
    expect(output).toMatch(/fix: createdb --host \S+ --port \d+ --username \w+ not_there/);
  });

  test("it is in a file that cannot be read", () => {
    const { status, output } = failingStart({ DATABASE_URL: "", DATABASE_URL_FILE: "/not/there" });
    expect(status).toBe(2);
    expect(output).toContain("✘ postgres: DATABASE_URL_FILE: cannot read /not/there");
  });
});

describe("a REDIS_URL that does not do is no running Flotilla whose runs wait for ever", () => {
  test("nobody listens there", () => {
    const { status, output } = failingStart({ REDIS_URL: `redis://${NOWHERE}` });
    expect(status).toBe(1);
    expect(output).toContain(`✘ redis: REDIS_URL: no Redis can be reached at ${NOWHERE}`);
    expect(output).toMatch(/or env -u REDIS_URL npm start/);
  });

  test("the password is wrong", () => {
    const url = new URL(given.REDIS_URL);
    url.password = "guessed";
    const { output } = failingStart({ REDIS_URL: url.href });
    expect(output).toMatch(/✘ redis: REDIS_URL: the Redis at \S+ refuses us \(WRONGPASS/);
    expect(output).toMatch(/fix: REDIS_URL=redis:\/\/:password@\S+ npm start/);
  });
});

describe("a langgraph.json that cannot be served", () => {
  test.each([
    ["is not JSON", '{ "graphs": ', /is not JSON: .+\n {2}fix: \S+ \S+langgraph\.json/],
    ["names no graphs", '{ "graphs": [] }', /names no graphs\n {2}fix: \S+ \S+langgraph\.json .+"graphs": \{/],
  ])("it %s", (_, text, message) => {
    const config = join(makeFolder(), "langgraph.json");
    writeFileSync(config, text);
    const { status, output } = failingStart({}, ["--config", config]);
    expect(status).toBe(2);
    expect(output).toMatch(message);
  });

  test("it is not there, or only its folder was named", () => {
    const folder = makeFolder();
    const missing = failingStart({}, ["--config", join(folder, "langgraph.json")]);
    expect(missing.output).toContain(`✘ config: there is no ${folder}/langgraph.json`);
    const { output } = failingStart({}, ["--config", folder]);
    expect(output).toContain(`fix: npm start -- --config ${folder}/langgraph.json`);
  });
});

describe("a folder that cannot be written to", () => {
  test("the state cannot be made: it is said where, and how to put it elsewhere", () => {
    const file = join(makeFolder(), "file");
    writeFileSync(file, "");
    const { status, output } = failingStart({}, ["--state", join(file, "state")]);
    expect(status).toBe(1);
    expect(output).toMatch(/✘ state: \S+: there is a file where a folder should be\n {2}fix: npm start -- .*--state/);
  });

  test("the log of a part cannot be opened: the part is named", () => {
    const state = makeFolder();
    writeFileSync(join(state, "logs"), "");
    const { output } = failingStart({}, ["--state", state]);
    expect(output).toMatch(/✘ (gateway|worker \d): \S+logs: there is a file where a folder should be/);
  });
});

test("a PORT that is no number stops the start with a sentence, and does not concern the demo or the keys", () => {
  const { status, output } = flotilla(["dev"], { ...given, PORT: "abc" });
  expect(status).toBe(2);
  expect(output).toMatch(/'abc' from env 'PORT' is invalid.+whole number from 0 to 65535.+PORT=2025 npm start/);
  expect(output).not.toMatch(/^\s+at /m);
  expect(flotilla(["keys", "list"], { ...given, PORT: "abc" })).toMatchObject({ status: 0 });
  expect(flotilla(["demo", "--help"], { PORT: "abc" })).toMatchObject({ status: 0 });
});

describe("the demo and the keys never go to another start than the one that is meant", () => {
  test.each([
    ["demo", ["demo"], /npm start -- --state \S+ {3}\(in another terminal\)/],
    ["keys", ["keys", "create"], /npm start -- --state \S+ {3}\(in another terminal\)/],
  ])("%s: no start runs with these options", (_, args, remedy) => {
    const state = makeFolder();
    const { status, output } = flotilla([...args, "--state", state]);
    expect(status).toBe(1);
    expect(output).toMatch(/no Flotilla runs with (its data in|these options)/);
    expect(output).toMatch(remedy);
  });

  test("the keys of a start with a given database ask for its address", () => {
    const state = makeFolder();
    const notes: DevNotes = {
      launcher: knownProcess("flotilla", process.pid),
      url: `http://${NOWHERE}`,
      givenDatabase: "postgres://me:…@db.example/app",
      processes: [],
    };
    writeFileSync(join(state, "dev.json"), JSON.stringify(notes));
    const { output } = flotilla(["keys", "--state", state, "list"]);
    expect(output).toContain("postgres://me:…@db.example/app");
    expect(output).toMatch(/fix: DATABASE_URL=\S+ npm run keys -- --state \S+ list/);
  });
});
