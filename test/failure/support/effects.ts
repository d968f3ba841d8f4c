import { readFileSync } from "node:fs";

/** A line of the side log: what a node really did, in which process. See test/graphs/side-log.ts. */
export interface Effect {
  pid: number;
  run?: string;
  step?: number;
  done?: number;
  solo?: boolean;
  node?: string;
  /** What was done inside `once`, and what the other side was told. */
  paid?: string;
  idempotencyKey?: string;
  /** The name of the error of an effect that was not stored. */
  refused?: string;
  /** Why a node's signal aborted, the error's name, and when, in ms. */
  aborted?: string;
  at?: number;
}

export function readEffects(file: string, runId?: string): Effect[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return []; // nothing has run yet
  }
  const lines = text.split("\n").slice(0, -1); // a line is whole once its end is there
  return lines
    .map((line) => JSON.parse(line) as Effect)
    .filter((effect) => runId === undefined || effect.run === runId);
}
