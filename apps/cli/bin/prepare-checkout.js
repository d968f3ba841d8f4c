// @ts-check
// Runs on a fresh clone, before anything is installed or compiled: Node's own modules only, and no TypeScript.
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const checkout = fileURLToPath(new URL("../../../", import.meta.url));

const STOP_SIGNALS = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"]);

/** A step that failed, with what to do about it. Its own output has been printed already. */
export class PreparationFailed extends Error {}

/** Refuses a Node that is too old before it stumbles over syntax. */
export function checkNodeVersion() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new PreparationFailed(
    `Flotilla needs Node 20.19 or newer; this is ${process.versions.node} (${process.execPath}).\n` +
      "  fix: install a newer Node, e.g. nvm install 22",
  );
}

/** Installs and builds what is missing or older than its sources; quick when there is nothing to do. */
export async function prepareCheckout() {
  checkNodeVersion();
  if (!dependenciesAreCurrent()) await installDependencies();
  await buildWorkspace();
}

/**
 * Whether node_modules holds what package-lock.json asks for. npm leaves a copy of the lock of what it installed; times
 * tell at once in the usual case, and where they do not (a fresh checkout of an old commit) the contents do.
 */
export function dependenciesAreCurrent() {
  const wanted = join(checkout, "package-lock.json");
  const installed = join(checkout, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return false;
  if (statSync(installed).mtimeMs >= statSync(wanted).mtimeMs) return true;
  const have = packagesIn(installed);
  return Object.entries(packagesIn(wanted)).every(([path, { version, integrity, optional, link }]) => {
    const own = have[path];
    if (own === undefined) return optional === true || !path.startsWith("node_modules/");
    return own.version === version && own.integrity === integrity && own.link === link;
  });
}

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, link?: boolean }} LockedPackage
 * @param {string} lockFile
 * @returns {Record<string, LockedPackage>}
 */
function packagesIn(lockFile) {
  return JSON.parse(readFileSync(lockFile, "utf8")).packages ?? {};
}

/** Installs exactly what the lock says. */
async function installDependencies() {
  const started = performance.now();
  console.log("Installing dependencies (npm ci), once …");
  const { command, args } = npmCommand();
  // The compiler is a development dependency: it has to come along whatever NODE_ENV says.
  const install = [...args, "ci", "--include=dev", "--include=optional", "--loglevel=error", "--no-audit", "--no-fund"];
  await run(command, install, { part: "dependencies", fix: "npm ci" });
  console.log(`✔ dependencies  ${seconds(started)}`);
}

/** The npm that runs us, when one does, so that a second version does not come into play. */
function npmCommand() {
  const running = process.env["npm_execpath"];
  const usable = running !== undefined && /npm-cli\.c?js$/.test(running) && existsSync(running);
  return usable ? { command: process.execPath, args: [running] } : { command: "npm", args: [] };
}

/**
 * Compiles the packages and apps, a quarter of a second when nothing changed. Nothing else: a broken test must not keep the
 * server from starting, and what has no output is compiled each time.
 */
export async function buildWorkspace() {
  const started = performance.now();
  const projects = JSON.parse(readFileSync(join(checkout, "tsconfig.json"), "utf8"))
    .references.map((/** @type {{ path: string }} */ reference) => reference.path)
    .filter((/** @type {string} */ path) => /^(packages|apps)\//.test(path));
  const compiler = join(checkout, "node_modules/typescript/bin/tsc");
  await run(process.execPath, [compiler, "-b", ...projects], { part: "build", fix: "npm run build" });
  if (performance.now() - started > 1_000) console.log(`✔ build  ${seconds(started)}`);
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ part: string, fix: string }} step
 * @returns {Promise<void>}
 */
function run(command, args, { part, fix }) {
  return new Promise((resolve, reject) => {
    const fail = (/** @type {string} */ why) => {
      const foreign = unwritablePath();
      const command =
        foreign === undefined
          ? `cd ${quoted(checkout)} && ${fix}`
          : `sudo chown -R "$(id -un)" ${quoted(checkout)}   (${foreign} cannot be written to)`;
      reject(new PreparationFailed(`✘ ${part}: ${why}\n  fix: ${command}`));
    };
    const child = spawn(command, args, { cwd: checkout, stdio: "inherit" });
    // Without this, ending us would leave npm at work; afterwards signals mean what they meant before.
    const pass = (/** @type {NodeJS.Signals} */ signal) => child.kill(signal);
    for (const signal of STOP_SIGNALS) process.on(signal, pass);
    child.on("close", () => STOP_SIGNALS.forEach((signal) => process.off(signal, pass)));
    child.on("error", (error) => fail(`${command} could not be started: ${error.message}`));
    child.on("exit", (code, signal) =>
      code === 0 ? resolve() : fail(signal ? `ended by ${signal}` : `exit code ${code}`),
    );
  });
}

/** What of this checkout belongs to somebody else, e.g. after an installation with sudo. */
function unwritablePath() {
  const paths = [".", "node_modules", "packages/shared/dist", "apps/cli/dist"].map((path) => join(checkout, path));
  return paths.find((path) => {
    try {
      if (existsSync(path)) accessSync(path, constants.W_OK);
      return false;
    } catch {
      return true;
    }
  });
}

/** @param {string} path */
function quoted(path) {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}

/** @param {number} started */
function seconds(started) {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}
