// @ts-check
// `npm test`: everything that is needed, from a clean clone to the last line. Arguments go to vitest, e.g. a file name.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { checkout, prepareCheckout, PreparationFailed } from "../apps/cli/bin/prepare-checkout.js";

const PROJECTS = ["unit", "postgres", "api", "system"];

/** @typedef {{ passed: number, failed: number, skipped: number }} Totals */

const interruption = new AbortController();
for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
  process.on(signal, () => interruption.abort());
}
process.exitCode = await main(process.argv.slice(2));

/** @param {string[]} args */
async function main(args) {
  const totals = { passed: 0, failed: 0, skipped: 0 };
  try {
    await prepareCheckout();
    await runProjects(args, totals);
  } catch (error) {
    const expected = error instanceof PreparationFailed || /** @type {Error} */ (error).name === "StartupError";
    console.error(expected ? describe(/** @type {Error} */ (error)) : error);
    totals.failed += 1;
  }
  if (interruption.signal.aborted) console.log("interrupted: the totals are not whole");
  if (totals.skipped > 0) console.log(`${totals.skipped} skipped`);
  console.log(`${totals.passed} passed, ${totals.failed} failed`);
  return totals.failed > 0 || totals.passed === 0 || interruption.signal.aborted ? 1 : 0;
}

/**
 * @param {string[]} args
 * @param {Totals} totals
 */
async function runProjects(args, totals) {
  const { projects, rest } = chooseProjects(args);
  const { startTemporaryServers } = await import("../apps/cli/dist/stack/temporary-servers.js");
  const servers = await startTemporaryServers(console.log);
  const results = mkdtempSync(join(tmpdir(), "flotilla-results-"));
  const env = { ...process.env, TEST_DATABASE_URL: servers.postgresUrl, TEST_REDIS_URL: servers.redisUrl };
  try {
    for (const project of projects) {
      if (interruption.signal.aborted) return;
      const report = join(results, `${project}.json`);
      console.log(`\n── ${project} ──`);
      const exitCode = await runVitest(["--project", project, ...reporters(report), ...rest], env);
      add(totals, read(report), exitCode);
    }
  } finally {
    await servers.stop();
    rmSync(results, { recursive: true, force: true });
  }
}

/**
 * Splits `--project NAME` from the arguments that every project gets. Without one, all projects run.
 * @param {string[]} args
 */
function chooseProjects(args) {
  const { values, tokens } = parseArgs({
    args,
    options: { project: { type: "string", multiple: true } },
    strict: false,
    tokens: true,
  });
  const own = tokens.filter((token) => token.kind === "option" && token.name === "project");
  const taken = new Set(
    own.flatMap((token) =>
      "inlineValue" in token && token.inlineValue ? [token.index] : [token.index, token.index + 1],
    ),
  );
  return {
    projects: PROJECTS.filter((project) => values.project?.includes(project) ?? true),
    rest: args.filter((_, index) => !taken.has(index)),
  };
}

/** @param {string} report */
function reporters(report) {
  return ["--passWithNoTests", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>}
 */
function runVitest(args, env) {
  const vitest = join(createRequire(import.meta.url).resolve("vitest/package.json"), "../vitest.mjs");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [vitest, "run", ...args], { cwd: checkout, stdio: "inherit", env });
    interruption.signal.addEventListener("abort", () => child.kill("SIGTERM"), { once: true });
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

/**
 * What vitest wrote; nothing when it died before.
 * @param {string} report
 * @returns {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, testResults: { status: string, assertionResults: unknown[] }[] } | undefined}
 */
function read(report) {
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return undefined;
  }
}

/**
 * Counts tests; a file that could not even be loaded, and a run that failed without a failed test, count as one each.
 * @param {Totals} totals
 * @param {ReturnType<typeof read>} report
 * @param {number} exitCode
 */
function add(totals, report, exitCode) {
  const unloadable = report?.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  );
  const failed = (report?.numFailedTests ?? 0) + (unloadable?.length ?? 0);
  totals.passed += report?.numPassedTests ?? 0;
  totals.skipped += report?.numPendingTests ?? 0;
  totals.failed += failed === 0 && exitCode !== 0 ? 1 : failed;
}

/** @param {Error & { remedy?: string, logTail?: string }} error */
function describe(error) {
  return [error.message, error.logTail, error.remedy && `  fix: ${error.remedy}`].filter(Boolean).join("\n");
}
