import type { Fleet, Node } from "../stack/fleet.ts";
import type { FaultLine } from "../history/lines.ts";
import type { Random } from "../random.ts";

/** What a fault is given: the fleet, its own random numbers, and the process that it is to hit. */
export interface FaultContext {
  readonly fleet: Fleet;
  readonly random: Random;
  /** of the lane; for faults of a server it is any */
  readonly node: Node;
}

/** Says how a fault went; the campaign adds the rest. */
export type Injected = Pick<FaultLine, "target" | "pid" | "at" | "healedAt" | "affected" | "note">;

export interface FaultKind {
  readonly name: string;
  /** How often it is drawn, beside the others of its lane. */
  readonly weight: number;
  readonly recoversFrom: FaultLine["recoversFrom"];
  /** Does it, and returns when the system was left alone again. */
  inject(context: FaultContext): Promise<Injected>;
}

/** The runs that run now: all, or those of one process. */
export async function runsOf({ pool }: Fleet, pid?: number): Promise<string[]> {
  const { rows } = await pool.query<{ run_id: string }>(
    "select run_id from runs where status = 'running' and ($1::text is null or split_part(holder, ':', 2) = $1)",
    [pid?.toString() ?? null],
  );
  return rows.map((row) => row.run_id);
}
