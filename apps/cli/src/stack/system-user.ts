import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";

/** A user of this machine, by number, since that is what processes and files are given to. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Name of the user that is created when root starts Postgres and the machine has no `postgres` user. */
const OWN_USER = "flotilla";

/**
 * Postgres refuses to run as root, so root has to run it as somebody else. An existing data directory keeps its
 * owner; else an existing `postgres` user, else one that we create, else `nobody`. undefined: run it as ourselves.
 */
export function postgresUser(dataDirectory: string): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = systemUsers();
  const ownerId = statSync(dataDirectory, { throwIfNoEntry: false })?.uid;
  const owner = users.find((user) => user.uid === ownerId && user.uid !== 0);
  return owner ?? byName(users, "postgres") ?? byName(users, OWN_USER) ?? createUser() ?? byName(users, "nobody");
}

/** Whether a user may enter a directory: a process of that user tries it, since modes alone do not tell. */
export function canEnter(user: SystemUser, directory: string): boolean {
  const attempt = spawnSync("/bin/sh", ["-c", 'cd "$1" && ls . >/dev/null', "sh", directory], {
    cwd: "/",
    uid: user.uid,
    gid: user.gid,
    stdio: "ignore",
  });
  return attempt.status === 0;
}

function createUser(): SystemUser | undefined {
  const created = spawnSync(
    "useradd",
    ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false", OWN_USER],
    { stdio: "ignore" },
  );
  return created.status === 0 ? byName(systemUsers(), OWN_USER) : undefined;
}

function systemUsers(): SystemUser[] {
  return readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .filter((fields) => fields.length >= 4)
    .map(([name = "", , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }));
}

function byName(users: readonly SystemUser[], name: string): SystemUser | undefined {
  return users.find((user) => user.name === name);
}
