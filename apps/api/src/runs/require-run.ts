import { NotFound } from "@flotilla/shared/errors";
import type { Pool } from "@flotilla/shared/postgres/pool";
import { getRun, getRunById } from "@flotilla/shared/runs/run-queries";
import type { Run } from "@flotilla/shared/runs/run";

/** @throws NotFound, also for a run of another thread. */
export async function requireRun(
  pool: Pool,
  tenantId: string,
  { thread_id, run_id }: { thread_id: string; run_id: string },
): Promise<Run> {
  const found = await getRun(pool, tenantId, thread_id, run_id);
  if (found === undefined) throw new NotFound("run", `Run ${run_id} does not exist on thread "${thread_id}"`);
  return found;
}

/** A run by its id alone. @throws NotFound */
export async function requireRunById(pool: Pool, tenantId: string, runId: string): Promise<Run> {
  const found = await getRunById(pool, tenantId, runId);
  if (found === undefined) throw new NotFound("run", `Run ${runId} does not exist`);
  return found;
}
