import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { createTestDatabase } from "../support/database.ts";
import { Stack } from "../support/stack.ts";
import { findPython } from "../support/system-program.ts";

// The Agent Server API from outside: a client in Python that was written from the contract alone, without any library. It
// performs its checks side by side and prints a line for each; a line is a test.

interface Result {
  check: string;
  ok: boolean;
  why?: string;
}

const program = fileURLToPath(new URL("wire", import.meta.url));
const python = await findPython();
// -B: no compiled files beside the sources
const checks = JSON.parse(execFileSync(python, ["-B", program, "--list"], { encoding: "utf8" })) as string[];

interface Awaited {
  result: Promise<Result>;
  resolve(result: Result): void;
}
const awaited = new Map(checks.map((check) => [check, awaitResult()]));

function awaitResult(): Awaited {
  let resolve: Awaited["resolve"] = () => {};
  const result = new Promise<Result>((done) => (resolve = done));
  return { result, resolve };
}

beforeAll(async () => {
  const database = await createTestDatabase();
  const stack = new Stack({
    databaseUrl: database.url,
    config: TEST_GRAPHS,
    env: { ALLOWED_ORIGINS: "https://app.example", MAX_BODY_BYTES: "1000000" },
  });
  const gateways = [stack.startGateway(), stack.startGateway()];
  const workers = [stack.startWorker(), stack.startWorker(), stack.startWorker()];
  const urls = (await Promise.all(gateways)).map(({ url }) => url);
  await Promise.all(workers);
  void perform(urls);
});

/** Runs all checks, and fails those that it leaves without a line. */
async function perform(urls: string[]): Promise<void> {
  const child = spawn(python, ["-B", program, ...urls], { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.on("data", (text: Buffer) => (errors += text.toString()));
  createInterface({ input: child.stdout }).on("line", (line) => {
    const result = JSON.parse(line) as Result;
    awaited.get(result.check)?.resolve(result);
  });
  const [code] = (await once(child, "close")) as [number | null];
  for (const [check, { resolve }] of awaited)
    resolve({ check, ok: false, why: `the program ended with ${code} before this check\n${errors}` });
}

describe("a client without a library", () => {
  test.each(checks)("%s", async (check) => {
    const result = await awaited.get(check)?.result;
    expect(result?.ok, result?.why).toBe(true);
  });
});
