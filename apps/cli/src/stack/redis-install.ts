import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { commandWorks, lastLines, runCommand } from "./run-command.ts";

/** A server program that was seen to run, with the environment it needs for that. */
export interface RedisBinary {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Installs Redis where that needs no question: root installs the Debian package; everybody else unpacks it into a
 * folder of their own, which changes nothing on the system; where that fails, sudo helps if it asks for no password.
 *
 * @returns what the package manager said last, for a message in case there is still no Redis afterwards
 */
export async function installRedis(home: string, report: (what: string) => void): Promise<string> {
  if (!(await commandWorks("apt-get", ["--version"]))) return "";
  if (process.getuid?.() === 0) return installPackage([], report);
  const output = await unpackPackage(home, report);
  const mayBeRoot = !(await unpackedRedis(home)) && (await commandWorks("sudo", ["-n", "true"]));
  return mayBeRoot ? installPackage(["sudo", "-n"], report) : output;
}

/**
 * Debian starts a service when it installs one. policy-rc.d is its switch against that; `disable` keeps it from coming
 * up at the next boot. The lists of packages are fetched only when the ones at hand do not do.
 */
const INSTALL_SCRIPT = `
export DEBIAN_FRONTEND=noninteractive
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
  trap 'rm -f "$guard"' EXIT
  printf '#!/bin/sh\\nexit 101\\n' > "$guard" && chmod 755 "$guard"
fi
install() { apt-get -o DPkg::Lock::Timeout=120 install -y -q --no-install-recommends redis-server; }
install || { apt-get update -q; install; } || exit 1
[ ! -d /run/systemd/system ] || systemctl disable --now redis-server
`;

async function installPackage(asRoot: readonly string[], report: (what: string) => void): Promise<string> {
  report(`installing redis-server (${[...asRoot, "apt-get install"].join(" ")})`);
  const { output } = await runCommand("env", [...asRoot, "sh", "-c", INSTALL_SCRIPT]);
  return lastLines(output);
}

/** Folder of an unpacked Redis below our home. */
const UNPACKED = "redis-program";

/**
 * Downloads the Debian packages of Redis and unpacks them, which needs no root: first with the system's lists of
 * packages, then, when these are missing or old, with lists of our own.
 */
async function unpackPackage(home: string, report: (what: string) => void): Promise<string> {
  report("unpacking redis-server (apt-get download)");
  const unfinished = join(home, `${UNPACKED}.${process.pid}.unfinished`);
  const lists = join(unfinished, "apt");
  for (const folder of ["state/lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(lists, folder), { recursive: true });
  }
  const ownLists = [
    `-oDir::State=${join(lists, "state")}`,
    "-oDir::State::status=/var/lib/dpkg/status",
    `-oDir::Cache=${join(lists, "cache")}`,
  ];
  let output = await downloadAndUnpack(unfinished, []);
  if (output !== undefined) {
    await runCommand("apt-get", [...ownLists, "update", "-q"]);
    output = await downloadAndUnpack(unfinished, ownLists);
  }
  if (output === undefined) {
    rmSync(lists, { recursive: true });
    renameSync(unfinished, join(home, UNPACKED));
  } else {
    rmSync(unfinished, { recursive: true });
  }
  return output ?? "";
}

/** undefined when it worked, else what went wrong. */
async function downloadAndUnpack(target: string, options: readonly string[]): Promise<string | undefined> {
  const dryRun = ["install", "--print-uris", "-qq", "-y", "--no-install-recommends", "redis-server"];
  const plan = await runCommand("apt-get", [...options, ...dryRun]);
  // Lines are 'uri' name_version_architecture.deb size hash
  const packages = [...plan.output.matchAll(/^'\S+' ([^_\s]+)_\S+\.deb /gm)].map(([, name = ""]) => name);
  if (plan.exitCode !== 0 || packages.length === 0) return lastLines(plan.output);
  const download = await runCommand("apt-get", [...options, "download", "-q", ...packages], { cwd: target });
  if (download.exitCode !== 0) return lastLines(download.output);
  for (const archive of readdirSync(target).filter((name) => name.endsWith(".deb"))) {
    const unpacking = await runCommand("dpkg", ["-x", join(target, archive), target]);
    if (unpacking.exitCode !== 0) return lastLines(unpacking.output);
    rmSync(join(target, archive));
  }
  return undefined;
}

/** The Redis that was unpacked below our home, when it is there and runs. */
export async function unpackedRedis(home: string): Promise<RedisBinary | undefined> {
  const root = join(home, UNPACKED);
  const path = join(root, "usr/bin/redis-server");
  if (!existsSync(path)) return undefined;
  const libraries = ["usr/lib", "lib"]
    .map((folder) => join(root, folder))
    .flatMap((folder) => (existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []))
    .filter((folder) => /-linux-\w+$/.test(folder));
  const env = { ...process.env, LD_LIBRARY_PATH: libraries.join(":") };
  return (await commandWorks(path, ["--version"], env)) ? { path, env } : undefined;
}
