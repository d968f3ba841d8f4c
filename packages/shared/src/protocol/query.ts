import * as z from "zod";

/** Query values as clients encode them: `true`, `1` and `yes` are true; `false`, `0` and `no` are false. */
export const queryFlag = z.stringbool({ truthy: ["true", "1", "yes"], falsy: ["false", "0", "no", ""] });

/** A list: repeated keys, one scalar, or one JSON array (the JS SDK 2.0.0 sends that). */
export function queryList<S extends z.ZodType>(item: S) {
  return z.preprocess((value) => {
    if (value === undefined || Array.isArray(value)) return value;
    if (typeof value === "string" && value.startsWith("[")) {
      try {
        return JSON.parse(value) as unknown;
      } catch {
        return [value];
      }
    }
    return [value];
  }, z.array(item));
}

export const limit = z.coerce.number().int().min(1).max(1000);
export const offset = z.coerce.number().int().min(0).max(1_000_000);

/** A JSON object in a query value, for filters. */
export const queryJson = z
  .string()
  .max(10_000)
  .transform((text, context) => {
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    } catch {
      // said below
    }
    context.addIssue({ code: "custom", message: "must be a JSON object" });
    return z.NEVER;
  });
