import { fileURLToPath } from "node:url";
import type { Pool } from "pg";
import { COMPUTE, type Kind } from "./load/workload.ts";
import type { FleetOptions } from "./stack/fleet.ts";

/**
 * Builds that are broken on purpose, one promise each, so that we know that the check would find out. They are made from
 * outside: by changing a function in the campaign's own database, or by a module that is loaded before the program. The
 * product has no switch for any of this.
 */
export const BROKEN_BUILDS: Record<string, BrokenBuild> = {
  "no-fence": {
    fleet: { env: preloading("no-fence.mjs") },
    faults: /asleep beyond/,
    load: COMPUTE,
  },
  "no-sweeper": { fleet: { env: preloading("no-sweeper.mjs") }, faults: /worker killed|wiped/ },
  "input-again": { fleet: { prepareDatabase: forgetWhatWasApplied }, faults: /worker killed/ },
};

export interface BrokenBuild {
  readonly fleet: Pick<FleetOptions, "env" | "prepareDatabase">;
  /** The faults that its promise is about, and the load that meets them. */
  readonly faults: RegExp;
  readonly load?: readonly Kind[];
}

function preloading(file: string): Record<string, string> {
  const path = fileURLToPath(new URL(`broken/${file}`, import.meta.url));
  return { NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import ${path}`.trim() };
}

/**
 * The claim says of every run that its input was never applied, and of the thread's checkpoint that it is another run's: the worker
 * sends the input again, and LangGraph, which would know its own run by that, applies it.
 */
async function forgetWhatWasApplied(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ arguments: string }>(
    "select pg_get_function_identity_arguments(oid) as arguments from pg_proc where proname = 'claim_run'",
  );
  const signature = rows[0]?.arguments ?? "";
  const inputs = signature.split(", ").filter((one) => !one.startsWith("OUT "));
  await pool.query(/* sql */ `
    alter function claim_run rename to claim_run_whole;
    create function claim_run(${signature}) language plpgsql as $$
    begin
      select w.outcome, w.run, jsonb_set(w.checkpoint::jsonb, '{metadata,run_id}', '"another"'), false
        into outcome, run, checkpoint, applied
        from claim_run_whole(${inputs.map((_, i) => `$${i + 1}`).join(", ")}) w;
    end $$`);
}
