import { createHash } from "node:crypto";
import { chownSync, mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { canEnter, type SystemUser } from "./system-user.ts";

/** Where data goes when the user of Postgres cannot enter the folder of the project. Only root ever needs it. */
const SHARED_HOME = "/var/lib/flotilla";

/**
 * The folder for the binaries and the data of Postgres: the preferred one, unless Postgres runs as another user who
 * cannot enter it (a project in /root, or below a folder with mode 0700).
 */
export function postgresHome(preferred: string, user: SystemUser | undefined): string {
  mkdirSync(preferred, { recursive: true });
  if (user === undefined || canEnter(user, preferred)) return realpathSync(preferred);
  const home = join(SHARED_HOME, createHash("sha256").update(realpathSync(preferred)).digest("hex").slice(0, 12));
  mkdirSync(home, { recursive: true });
  return home;
}

/** A directory that belongs to the user of Postgres alone, as Postgres asks for. */
export function makePrivateDirectory(path: string, user: SystemUser | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (user) chownSync(path, user.uid, user.gid);
}
