import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { commandWorks, lastLines, runCommand } from "../../apps/cli/src/stack/run-command.ts";
import { StartupError } from "../../apps/cli/src/stack/startup-error.ts";

// Programs of the system that single test files need beside Node: found, else installed where that needs no question.

interface SystemProgram {
  /** for messages */
  readonly name: string;
  /** names under which it may be installed, the first that works is taken */
  readonly commands: readonly string[];
  /** environment variable with the path of one; nothing else is tried when it is set */
  readonly variable: string;
  readonly debianPackage: string;
}

/** Time for a download and an installation, in ms: for the hook that asks for a program. */
export const INSTALL_TIMEOUT_MS = 540_000;

/** Places beside the PATH, which may be a short one. */
const OTHER_FOLDERS = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/snap/bin"];

/** A browser of Chromium's family; CHROMIUM_PATH names another one than is found. */
export function findChromium(): Promise<string> {
  return findProgram({
    name: "Chromium",
    commands: [
      "chromium",
      "chromium-browser",
      "google-chrome-stable",
      "google-chrome",
      "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
      "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ],
    variable: "CHROMIUM_PATH",
    debianPackage: "chromium",
  });
}

/** Python 3; PYTHON_PATH names another one than is found. */
export function findPython(): Promise<string> {
  return findProgram({ name: "Python 3", commands: ["python3"], variable: "PYTHON_PATH", debianPackage: "python3" });
}

/** @throws StartupError with the command that installs it, when it is neither there nor could be installed. */
async function findProgram(program: SystemProgram): Promise<string> {
  const given = process.env[program.variable];
  if (given) {
    if (await commandWorks(given, ["--version"])) return given;
    throw new StartupError(program.name, `${program.variable}: ${given} cannot be started`);
  }
  const present = await findInstalled(program);
  if (present !== undefined) return present;
  const output = await install(program);
  const added = await findInstalled(program);
  if (added !== undefined) return added;
  const sudo = process.getuid?.() === 0 ? "" : "sudo ";
  const remedy = `${sudo}apt-get install -y --no-install-recommends ${program.debianPackage}`;
  const said = output === "" ? "" : `\n${output}`;
  throw new StartupError(
    program.name,
    `This test needs ${program.name}, and there is none on this machine.${said}\n  fix: ${remedy}\n  or ${program.variable}=/path/to/it`,
    { remedy },
  );
}

async function findInstalled({ commands }: SystemProgram): Promise<string | undefined> {
  const folders = new Set([...(process.env["PATH"] ?? "").split(delimiter).filter(Boolean), ...OTHER_FOLDERS]);
  for (const command of commands) {
    const paths = command.startsWith("/") ? [command] : [...folders].map((folder) => join(folder, command));
    for (const path of paths) {
      // Ubuntu's chromium-browser is a stub without its snap: it is there and does not run.
      if (existsSync(path) && (await commandWorks(path, ["--version"]))) return path;
    }
  }
  return undefined;
}

/**
 * As the start script installs Redis: with the lists of packages at hand, then with fresh ones. One at a time: apt-get waits
 * for the lock of dpkg, but not for that of the lists, and two test files may each need a program.
 */
const INSTALL_SCRIPT = `
export DEBIAN_FRONTEND=noninteractive
install() { apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends "$1"; }
if command -v flock >/dev/null; then exec 9</var/lib/dpkg && flock 9; fi
install "$1" || { apt-get update -q; install "$1"; }
`;

/** Installs it as root, or with a sudo that asks for no password. @returns what the package manager said last. */
async function install({ debianPackage }: SystemProgram): Promise<string> {
  if (!(await commandWorks("apt-get", ["--version"]))) return "";
  const isRoot = process.getuid?.() === 0;
  if (!isRoot && !(await commandWorks("sudo", ["-n", "true"]))) return "";
  const asRoot = isRoot ? [] : ["sudo", "-n"];
  console.log(`installing ${debianPackage} (${[...asRoot, "apt-get install"].join(" ")}), for tests`);
  const { output } = await runCommand("env", [...asRoot, "sh", "-c", INSTALL_SCRIPT, "sh", debianPackage]);
  return lastLines(output);
}
