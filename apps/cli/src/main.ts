import { Command, CommanderError } from "commander";
import { demoCommand } from "./demo/demo-command.ts";
import { devCommand } from "./dev/dev-command.ts";
import { PART_FAILED, USAGE_ERROR } from "./dev/exit-codes.ts";
import { keysCommand } from "./keys/keys-command.ts";
import { reasonOf, StartupError } from "./stack/startup-error.ts";
import { style } from "./terminal.ts";

try {
  await buildProgram().parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function buildProgram(): Command {
  const program = new Command("flotilla")
    .description("A self-hosted LangGraph server")
    .addCommand(devCommand(), { isDefault: true })
    .addCommand(demoCommand())
    .addCommand(keysCommand());
  return throwInsteadOfExit(program);
}

function throwInsteadOfExit(command: Command): Command {
  command.commands.forEach(throwInsteadOfExit);
  return command.exitOverride();
}

/** Prints what went wrong as its reader needs it, and gives the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_ERROR; // it has printed its message
  if (!(error instanceof StartupError)) {
    // What the system refuses is no bug of ours: its text names the file or the address, a stack helps nobody.
    const isRefusal = (error as NodeJS.ErrnoException | undefined)?.syscall !== undefined;
    console.error(isRefusal ? `\n${style("red", "✘")} ${reasonOf(error)}` : error);
    return PART_FAILED;
  }
  console.error(`\n${style("red", "✘")} ${style("bold", error.part)}: ${error.message}`);
  if (error.logTail !== undefined) console.error(style("dim", error.logTail.replace(/^/gm, "    ")));
  if (error.remedy !== undefined) console.error(`  fix: ${error.remedy.replaceAll("\n", "\n       ")}`);
  return error.exitCode;
}
