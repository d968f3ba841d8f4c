import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { makeCheckout, type Checkout } from "./checkout.ts";

/** A file that breaks each rule: [rule, file, its one line]. */
const VIOLATIONS: [rule: string, file: string, line: string][] = [
  ["apps-do-not-import-each-other", "apps/api/src/planted.ts", 'import "../../worker/src/main.ts";'],
  ["apps-do-not-import-each-other", "apps/worker/src/planted.ts", 'import "@flotilla/api/config";'],
  [
    "packages-do-not-import-apps",
    "packages/shared/src/runs/planted.ts",
    'import "../../../../apps/api/src/config.ts";',
  ],
  ["product-does-not-import-tests", "apps/api/src/planted.ts", 'import "../../../test/support/wait.ts";'],
  ["graphs-only-by-path", "apps/worker/src/planted.ts", 'import "@flotilla/graphs/counter";'],
  ["protocol-imports-zod-only", "packages/shared/src/protocol/planted.ts", 'import "pg";'],
  ["errors-import-nothing", "packages/shared/src/errors.ts", 'import "zod";'],
  ["foundation-knows-no-features", "packages/shared/src/postgres/planted.ts", 'import "../runs/run.ts";'],
  ["features-do-not-import-each-other", "packages/shared/src/threads/planted.ts", 'import "../runs/run.ts";'],
  ["only-the-queue-knows-bullmq", "apps/worker/src/runs/planted.ts", 'import "bullmq";'],
  ["only-a-few-know-ioredis", "apps/api/src/planted.ts", 'import "ioredis";'],
  [
    "only-http-knows-express",
    "apps/api/src/runs/planted.ts",
    'import type { Request } from "express"; export type R = Request;',
  ],
  ["nothing-missing", "apps/api/src/planted.ts", 'import "./not-there.ts";'],
  ["no-cycles", "apps/api/src/planted-a.ts", 'import type { B } from "./planted-b.ts"; export type A = B | 1;'],
];

let checkout: Checkout;

beforeAll(() => {
  checkout = makeCheckout("import rules");
  return () => checkout.remove();
});

function cruise(): { output: string; passes: boolean } {
  const cli = join(checkout.folder, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
  const { stdout, stderr, status } = spawnSync(process.execPath, [cli, "apps", "packages"], {
    cwd: checkout.folder,
    encoding: "utf8",
  });
  return { output: stdout + stderr, passes: status === 0 };
}

/** Adds a line to a file, which may be new, until the test is over. */
function plant(file: string, line: string): void {
  const path = join(checkout.folder, file);
  const before = existsSync(path) ? readFileSync(path, "utf8") : undefined;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${line}\n${before ?? ""}`);
  onTestFinished(() => (before === undefined ? rmSync(path) : writeFileSync(path, before)));
}

test("the tree keeps the rules, and it is the whole tree that was looked at", () => {
  const { output, passes } = cruise();
  expect(passes, output).toBe(true);
  expect(Number(/\((\d+) modules/.exec(output)?.[1])).toBeGreaterThan(100);
});

test("every rule finds a file that breaks it", () => {
  for (const [, file, line] of VIOLATIONS) plant(file, line);
  plant("apps/api/src/planted-b.ts", 'import type { A } from "./planted-a.ts"; export type B = A | 2;');
  const { output, passes } = cruise();
  expect(passes).toBe(false);
  for (const [rule, file] of VIOLATIONS) expect.soft(output).toContain(`${rule}: ${file}`);
});
