import { randomBytes } from "node:crypto";
import { chownSync, existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { findFreePort } from "./free-port.ts";
import { endLeftovers, startServer, type LocalServer } from "./local-server.ts";
import { findPostgresBinaries, type PostgresBinaries } from "./postgres-binaries.ts";
import { makePrivateDirectory, postgresHome } from "./postgres-home.ts";
import { pidIn, processesIn, processStart } from "./process-identity.ts";
import { lastLines, runCommand } from "./run-command.ts";
import { readNotes, writeNotes, type ServerNotes } from "./server-notes.ts";
import { StartupError } from "./startup-error.ts";
import { postgresUser, type SystemUser } from "./system-user.ts";

export interface LocalPostgresOptions {
  /** Folder for binaries and data; another one is taken when the user of Postgres cannot enter it. */
  readonly home: string;
  readonly logFile: string;
  /** false: no fsync. Only for tests of logic, where nobody pulls the plug. */
  readonly durable?: boolean;
  /** How long clients may go on when we died without stopping it. */
  readonly orphanPauseSeconds?: number;
  /** Hears what takes long: the first start makes the database. */
  readonly report?: (what: string) => void;
}

const SUPERUSER = "flotilla";
const DATABASE = "flotilla";

function addressOf({ port, password }: ServerNotes, database: string): string {
  return `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`;
}

/** The address of the Postgres that was started last for this folder; it may not be running. */
export function knownLocalPostgres(home: string): string | undefined {
  const folder = postgresHome(home, postgresUser(home));
  const files = existsSync(folder) ? readdirSync(folder).filter((file) => /^postgres-\d+\.json$/.test(file)) : [];
  const newest = files
    .map((file) => join(folder, file))
    .toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  if (newest === undefined) return undefined;
  const { port, password } = readNotes(newest);
  return port === undefined || password === undefined ? undefined : addressOf({ port, password }, DATABASE);
}

/** Nobody listens yet, or Postgres says that it is still starting up. */
const NOT_YET = ["ECONNREFUSED", "ECONNRESET", "57P03"];
const WRONG_PASSWORD = "28P01";

/**
 * A Postgres of our own on a loopback port that is kept between starts. Every client needs the random password (scram);
 * there is no unix socket, whose path could be too long. Data of another major version stays beside it untouched.
 */
export async function startLocalPostgres(options: LocalPostgresOptions): Promise<LocalServer> {
  const { report = () => {} } = options;
  const user = postgresUser(options.home);
  const home = postgresHome(options.home, user);
  const binaries = await findPostgresBinaries(home, user);
  const directory = join(home, `postgres-${binaries.major}`);
  const notesFile = join(home, `postgres-${binaries.major}.json`);
  const notes = readNotes(notesFile);
  const password = notes.password ?? randomBytes(18).toString("base64url");

  await endLeftoverPostgres(directory, report);
  if (!existsSync(join(directory, "PG_VERSION"))) {
    report(`making a database with Postgres ${binaries.version}`);
    await initialise(binaries, directory, password, user);
  }
  const port = await findFreePort(notes.port);
  writeNotes(notesFile, { port, password });

  const urlOf = (database: string): string => addressOf({ port, password }, database);
  const running = await startServer({
    part: "postgres",
    command: join(binaries.directory, "postgres"),
    args: ["-D", directory, ...settings(port, options.durable ?? true)],
    env: { PATH: process.env["PATH"], LC_ALL: "C" },
    directory,
    pidFile: join(directory, "postmaster.pid"),
    logFile: options.logFile,
    user,
    stopSignal: "INT", // "fast": ends the sessions that are left; SIGTERM would wait for them
    orphanPauseSeconds: options.orphanPauseSeconds ?? 0,
    answers: () => databaseIsThere(urlOf("postgres"), directory),
  });
  return { ...running, version: binaries.version, port, url: urlOf(DATABASE), directory };
}

function settings(port: number, durable: boolean): string[] {
  return Object.entries({
    port: String(port),
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "200",
    timezone: "UTC",
    log_timezone: "UTC",
    jit: "off",
    ...(!durable && { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** Makes the data beside its final place and moves it there at the end, so that what is in place is whole. */
async function initialise(
  binaries: PostgresBinaries,
  directory: string,
  password: string,
  user: SystemUser | undefined,
): Promise<void> {
  const unfinished = `${directory}.unfinished`;
  const passwordFile = `${directory}.password`;
  rmSync(unfinished, { recursive: true, force: true });
  makePrivateDirectory(unfinished, user);
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (user) chownSync(passwordFile, user.uid, user.gid);
  const initdb = [
    `--pgdata=${unfinished}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    ...locale(binaries.major),
  ];
  const { exitCode, output } = await runCommand(join(binaries.directory, "initdb"), initdb, {
    user,
    env: { PATH: process.env["PATH"] },
  });
  rmSync(passwordFile);
  if (exitCode !== 0) {
    rmSync(unfinished, { recursive: true, force: true });
    throw new StartupError("postgres", `initdb could not make a database in ${directory}`, {
      logTail: lastLines(output),
      remedy: `ls -ld ${join(directory, "..")}; df -h ${join(directory, "..")}   (is there room, and may it be written to?)`,
    });
  }
  renameSync(unfinished, directory);
}

/** Code point order and UTF-8 everywhere: the same on every machine. macOS knows no C.UTF-8. */
function locale(major: number): string[] {
  const system = process.platform === "darwin" ? "C" : "C.UTF-8";
  const builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  return [`--locale=${system}`, ...(major >= 17 ? builtin : [])];
}

/** Connects; makes our database when it is missing. undefined while Postgres is still starting. */
async function databaseIsThere(url: string, directory: string): Promise<string | undefined> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  try {
    await client.connect();
    const { rowCount } = await client.query("select from pg_database where datname = $1", [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
    return "ready";
  } catch (error) {
    const { code = "" } = error as { code?: string };
    if (NOT_YET.includes(code)) return undefined;
    if (code !== WRONG_PASSWORD) throw error;
    throw new Error(`its password is not the one in ${directory}.json; to begin afresh: rm -r ${directory}*`, {
      cause: error,
    });
  } finally {
    await client.end().catch(() => {});
  }
}

/**
 * Ends a Postgres that an earlier start left on this data. A pid file whose number belongs to somebody else by now
 * would keep Postgres from starting; it goes, once no process works in the data directory any more.
 */
async function endLeftoverPostgres(directory: string, report: (what: string) => void): Promise<void> {
  const pidFile = join(directory, "postmaster.pid");
  const pid = pidIn(pidFile);
  if (pid === undefined) return;
  const leftovers = processesIn(directory, pidFile);
  if (leftovers.length > 0) report(`ending the Postgres (pid ${pid}) that an earlier start left behind`);
  await endLeftovers(leftovers, leftovers.includes(pid) ? [pid] : leftovers, "SIGINT");
  if (processStart(pid) !== undefined) rmSync(pidFile, { force: true });
}
