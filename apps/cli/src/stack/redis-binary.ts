import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { installRedis, unpackedRedis, type RedisBinary } from "./redis-install.ts";
import { commandWorks } from "./run-command.ts";
import { StartupError } from "./startup-error.ts";

/** Places beside the PATH: a user's PATH often lacks sbin. */
const OTHER_FOLDERS = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin"];
const PROGRAMS = ["redis-server", "valkey-server"];

/**
 * Finds redis-server or valkey-server, installing it when the machine has none and that needs no question.
 *
 * @param home a folder of ours where it may be unpacked to
 */
export async function findRedisBinary(home: string, report: (what: string) => void): Promise<RedisBinary> {
  const present = (await findInstalled()) ?? (await unpackedRedis(home));
  if (present) return present;
  const output = await installRedis(home, report);
  const added = (await findInstalled()) ?? (await unpackedRedis(home));
  if (added) return added;
  throw new StartupError("redis", "no redis-server and no valkey-server on this machine", {
    ...(output !== "" && { logTail: output }),
    remedy: `${await installCommand()}\nor REDIS_URL=redis://host:6379 npm start`,
  });
}

async function findInstalled(): Promise<RedisBinary | undefined> {
  const folders = new Set([...(process.env["PATH"] ?? "").split(delimiter).filter(Boolean), ...OTHER_FOLDERS]);
  for (const program of PROGRAMS) {
    for (const folder of folders) {
      const path = join(folder, program);
      if (existsSync(path) && (await commandWorks(path, ["--version"]))) return { path, env: process.env };
    }
  }
  return undefined;
}

/** The command for this machine's package manager. */
async function installCommand(): Promise<string> {
  const sudo = process.getuid?.() === 0 ? "" : "sudo ";
  const commands: Record<string, string> = {
    "apt-get": `${sudo}apt-get install -y redis-server`,
    dnf: `${sudo}dnf install -y valkey`,
    apk: `${sudo}apk add redis`,
    pacman: `${sudo}pacman -S --noconfirm valkey`,
    zypper: `${sudo}zypper install -y redis`,
    brew: "brew install redis",
  };
  for (const [packageManager, command] of Object.entries(commands)) {
    if (await commandWorks(packageManager, ["--version"])) return command;
  }
  return "install Redis 6.2 or newer (or Valkey) with your system's package manager";
}
