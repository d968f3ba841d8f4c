import * as z from "zod";

/**
 * Text from outside that may reach Postgres as text, which takes no NUL, or the wire, which takes no lone surrogate. Values
 * that are kept as JSON may hold both.
 */
export const storableText = z
  .string()
  .regex(/^[^\0\p{Surrogate}]*$/u, "must be text without NUL and without lone surrogates");

/** JSON text. */
export const jsonText = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: `is not JSON: ${error instanceof Error ? error.message : ""}` });
    return z.NEVER;
  }
});
