import { Command, Send } from "@langchain/langgraph";
import type { CommandInput } from "./run.ts";

/** LangGraph's Command from what a client sends, AGENT_SERVER_API section 6.6. `resume: null` is an answer: the key counts. */
export function toCommand(command: CommandInput): Command {
  return new Command({
    ...("resume" in command ? { resume: command.resume } : {}),
    ...(command.update === undefined ? {} : { update: command.update as Record<string, unknown> }),
    ...(command.goto === undefined ? {} : { goto: toGoto(command.goto) }),
  });
}

type Goto = string | Send;

function toGoto(goto: unknown): Goto | Goto[] {
  if (Array.isArray(goto)) return goto.map((one) => toGoto(one) as Goto);
  if (typeof goto === "object" && goto !== null && "node" in goto) {
    return new Send(String(goto.node), "input" in goto ? goto.input : undefined);
  }
  return String(goto);
}
