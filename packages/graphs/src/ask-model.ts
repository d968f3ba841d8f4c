import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { z } from "zod";

/** A model together with the config of the node that calls it, so that tracing and cancellation reach it. */
export interface ModelCall {
  readonly model: BaseChatModel;
  readonly config: LangGraphRunnableConfig;
}

/** What a model is asked; `instructions` set the role, `prompt` holds the material. */
export interface Question {
  readonly instructions: string;
  readonly prompt: string;
}

/** Keeps structured answers out of the `messages` stream: nobody wants to read JSON word by word. */
const UNSTREAMED = ["nostream"];

/**
 * The model's answer in the shape of `schema`, or a problem that names what was wrong with it. Only cancellation is
 * thrown: work must not be lost because a model fails.
 */
export async function askModel<S extends z.ZodType<Record<string, unknown>>>(
  { model, config }: ModelCall,
  schema: S,
  { instructions, prompt }: Question,
): Promise<{ value: z.output<S> } | { problem: string }> {
  try {
    // Function calling rather than JSON mode: every OpenAI-compatible server and Anthropic know it.
    const structured = model.withStructuredOutput(z.toJSONSchema(schema), {
      name: "answer",
      method: "functionCalling",
    });
    const answer = await structured.invoke(
      [
        { role: "system", content: instructions },
        { role: "user", content: prompt },
      ],
      { ...config, tags: [...(config.tags ?? []), ...UNSTREAMED] },
    );
    const parsed = schema.safeParse(answer);
    if (parsed.success) return { value: parsed.data };
    return { problem: `model_answer_invalid: ${firstLine(z.prettifyError(parsed.error))}` };
  } catch (error) {
    if (config.signal?.aborted === true) throw error;
    return { problem: describeFailure(error) };
  }
}

/** Text that a model writes; streamed as tokens. */
export async function askModelForText(
  { model, config }: ModelCall,
  { instructions, prompt }: Question,
): Promise<{ value: string } | { problem: string }> {
  try {
    const reply = await model.invoke(
      [
        { role: "system", content: instructions },
        { role: "user", content: prompt },
      ],
      config,
    );
    const text = reply.text.trim();
    return text === "" ? { problem: "model_answer_invalid: the answer is empty" } : { value: text };
  } catch (error) {
    if (config.signal?.aborted === true) throw error;
    return { problem: describeFailure(error) };
  }
}

/** Providers repeat parts of the key in the text of some errors, so a status is all that is passed on. */
function describeFailure(error: unknown): string {
  const { status, name } = error as { status?: unknown; name?: unknown };
  if (typeof status === "number") return `model_failed: HTTP ${status}`;
  const isAnswer = name === "OutputParserException" || error instanceof SyntaxError;
  return isAnswer
    ? "model_answer_invalid: it has not the form asked for"
    : `model_failed: ${typeof name === "string" ? name : "unknown error"}`;
}

function firstLine(text: string): string {
  return text
    .split("\n")
    .slice(0, 2)
    .map((line) => line.replace(/^[✖→\s]+/, ""))
    .join(", ");
}
