import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { checkout as source } from "../../apps/cli/bin/prepare-checkout.js";

/** A user of this machine made for one test. */
export interface TestUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** What a fresh clone would hold, in a folder of its own. */
export interface Checkout {
  readonly folder: string;
  readonly owner: TestUser | undefined;
  remove(): void;
}

/**
 * Copies what git would: the tracked files and those that could be, nothing built. The dependencies are hard links to
 * those of this checkout (installing them would take most of the test's time); the compiled code is not taken along.
 *
 * @param folderName may hold spaces; the folder above it has mode 0700
 */
export function makeCheckout(folderName: string, owner?: TestUser): Checkout {
  const closed = mkdtempSync(join(tmpdir(), "flotilla-checkout-"));
  chmodSync(closed, 0o700);
  const folder = join(closed, folderName);
  mkdirSync(folder);
  const listing = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: source,
  });
  for (const file of listing.toString().split("\0").filter(Boolean)) {
    if (!existsSync(join(source, file))) continue; // deleted here, not yet in git
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(source, file), join(folder, file));
  }
  // Before the links are made: they share their owner with the originals.
  if (owner) execFileSync("chown", ["-R", `${owner.uid}:${owner.gid}`, closed]);
  for (const modules of nodeModules()) execFileSync("cp", ["-al", join(source, modules), join(folder, modules)]);
  return { folder, owner, remove: () => rmSync(closed, { recursive: true, force: true }) };
}

/** All folders of dependencies: npm puts what it cannot share beside the package that needs it. */
function nodeModules(): string[] {
  const workspaces = execFileSync("git", ["ls-files", "*/package.json"], { cwd: source }).toString().split("\n");
  const folders = ["", ...workspaces.filter(Boolean).map((file) => dirname(file))];
  return folders.map((folder) => join(folder, "node_modules")).filter((path) => existsSync(join(source, path)));
}

/** Makes a user for the test; `remove` takes it away again. Root only. */
export function makeUser(): TestUser & { remove(): void } {
  const name = `flotilla-test-${process.pid}`;
  execFileSync("useradd", ["--system", "--user-group", "--no-create-home", "--shell", "/bin/sh", name]);
  const id = (flag: string): number => Number(execFileSync("id", [flag, name]).toString());
  return { name, uid: id("-u"), gid: id("-g"), remove: () => void execFileSync("userdel", [name]) };
}
