import { Command, Send } from "@langchain/langgraph";
import type { ClaimedRun, CommandInput, Durability } from "@flotilla/shared/runs/run";

/** What a run gives to the graph. Pure. */

/** The input, or the command with `answers` (interrupt id → answer) in place of what it resumes with. */
export function toGraphInput(run: ClaimedRun, answers: Record<string, unknown> | undefined): unknown {
  const { command, input } = run.kwargs;
  if (command === undefined) return input ?? null;
  const fields = {
    ...(answers === undefined ? {} : { resume: answers }),
    ...(command.update === undefined ? {} : { update: command.update as Record<string, unknown> }),
    ...(command.goto === undefined ? {} : { goto: toGoto(command.goto) }),
  };
  return Object.keys(fields).length === 0 ? null : new Command(fields);
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

type Goto = string | Send;

function toGoto(goto: unknown): Goto | Goto[] {
  if (Array.isArray(goto)) return goto.map((one) => toGoto(one) as Goto);
  if (typeof goto === "object" && goto !== null && "node" in goto) {
    return new Send(String(goto.node), "input" in goto ? goto.input : undefined);
  }
  return String(goto);
}
