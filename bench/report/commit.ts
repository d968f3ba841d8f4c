import { execFileSync } from "node:child_process";

/** The commit that is measured, with `-dirty` when files differ from it; "unknown" outside a clone. */
export function describeCommit(): string {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}
