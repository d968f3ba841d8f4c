import { interrupt } from "@langchain/langgraph";
import { z } from "zod";

/**
 * Interrupts the graph with `question` and returns the person's answer once it fits `answerSchema`. A value that does
 * not fit is asked for again, with an `error` that says why: a typing mistake costs a question, not the run.
 *
 * The schema travels with the interrupt as JSON Schema, so that a client can draw a form. It is not handed over as a
 * zod schema, because LangGraph would then fail the run on an answer that does not fit.
 */
export function askPerson<S extends z.ZodType>(question: object, answerSchema: S): z.output<S> {
  const responseSchema = z.toJSONSchema(answerSchema, { io: "input" }) as Record<string, unknown>;
  let asked = question;
  for (;;) {
    const answer = answerSchema.safeParse(interrupt(asked, { responseSchema }));
    if (answer.success) return answer.data;
    asked = { ...question, error: `The answer does not fit: ${z.prettifyError(answer.error)}` };
  }
}
