import { appendFileSync } from "node:fs";

/** A line for each thing that a node really did: what ran, where and when. The campaign reads the file that EFFECTS_LOG names. */
export function effect(entry) {
  const file = process.env["EFFECTS_LOG"];
  if (file !== undefined)
    appendFileSync(file, `${JSON.stringify({ type: "effect", at: Date.now(), pid: process.pid, ...entry })}\n`);
}
