import * as z from "zod";

/** A thread's id: any text of these characters, chosen by the client or a UUIDv7 of ours. */
export const threadId = z
  .string()
  .regex(/^[A-Za-z0-9._:@-]{1,255}$/, "a thread id is made of 1 to 255 letters, digits, '.', '_', ':', '@' and '-'")
  .refine((id) => id !== "." && id !== "..", "'.' and '..' are no thread ids")
  .meta({ id: "ThreadId", example: "user-123-session-456" });

export const runId = z.uuid("a run id is a UUID");
export const checkpointId = z
  .string()
  .regex(/^[A-Za-z0-9-]{1,64}$/, "a checkpoint id is made of letters, digits and '-'");
export const graphId = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,128}$/, "a graph id is made of letters, digits, '.', '_' and '-'");
export const tenantId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, "a tenant is named with lower-case letters, digits, '_' and '-'");
