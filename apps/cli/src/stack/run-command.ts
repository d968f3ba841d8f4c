import { spawn } from "node:child_process";
import type { SystemUser } from "./system-user.ts";

export interface CommandResult {
  /** undefined when the command does not exist or was killed by a signal */
  readonly exitCode: number | undefined;
  /** stdout and stderr as they came, the last 64 KiB of them */
  readonly output: string;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly user?: SystemUser | undefined;
}

const KEPT_CHARACTERS = 65_536;

/** Runs a command to its end and keeps what it printed. Never throws: a missing command has no exit code. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(command, args, {
      cwd: options.cwd ?? "/",
      env: options.env ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.user && { uid: options.user.uid, gid: options.user.gid }),
    });
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-KEPT_CHARACTERS);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.on("error", (error) => resolve({ exitCode: undefined, output: output || error.message }));
    child.on("close", (exitCode) => resolve({ exitCode: exitCode ?? undefined, output }));
  });
}

/** Whether a command exists and ends well, e.g. with `--version`. */
export async function commandWorks(
  command: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<boolean> {
  return (await runCommand(command, args, env && { env })).exitCode === 0;
}

/** The last lines of some output, for a message about a failure. */
export function lastLines(text: string, count = 12): string {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}
