import { appendFileSync } from "node:fs";

/** A line per effect, so that a test sees what really ran, however often. The file is given by EFFECTS_LOG. */
export function effect(entry: Record<string, unknown>): void {
  const file = process.env["EFFECTS_LOG"];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ pid: process.pid, ...entry })}\n`);
}
