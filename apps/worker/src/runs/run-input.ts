import { toCommand } from "@flotilla/shared/runs/command";
import type { ClaimedRun, CommandInput, Durability } from "@flotilla/shared/runs/run";

/** What a run gives to the graph. Pure. */

/** The input, or the command with `answers` (interrupt id → answer) in place of what it resumes with. */
export function toGraphInput(run: ClaimedRun, answers: Record<string, unknown> | undefined): unknown {
  const { command, input } = run.kwargs;
  if (command === undefined) return input ?? null;
  const { resume: _resume, ...rest } = command;
  const asked = answers === undefined ? rest : { ...rest, resume: answers };
  return Object.values(asked).every((part) => part === undefined) ? null : toCommand(asked);
}

/** Whether the run answers a question. `resume: null` is an answer: the key counts. */
export function isResume(command: CommandInput | undefined): command is CommandInput {
  return command !== undefined && "resume" in command;
}

/** A command runs as `sync`: with `exit` LangGraph applies its update twice, without any crash. */
export function durabilityOf(run: ClaimedRun): Durability {
  const wanted = run.kwargs.durability ?? "sync";
  return wanted === "exit" && run.kwargs.command !== undefined ? "sync" : wanted;
}
