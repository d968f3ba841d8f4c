import { isConnectionFailure } from "@flotilla/shared/postgres/pg-error";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Logger } from "@flotilla/shared/process/logger";
import { getRunEnd, type RunEnd } from "@flotilla/shared/runs/run-queries";
import { isFinal, type RunError, type RunStatus } from "@flotilla/shared/runs/run";
import type { ThreadStates } from "../threads/thread-state.ts";

/** How a run ended, with its own values even when the thread has moved on. */
export interface EndedRun {
  status: RunStatus;
  attempt: number;
  error: RunError | null;
  values: unknown;
  interrupts: { id?: string; value: unknown }[];
}

export interface RunEndDeps {
  pool: Pool;
  states: ThreadStates;
  logger: Logger;
}

/** @returns the end; `live` while there is none; `gone` when the row does not exist (any more): a rollback deletes it. */
export async function readRunEnd(
  deps: RunEndDeps,
  tenantId: string,
  runId: string,
): Promise<EndedRun | "live" | "gone"> {
  const end = await getRunEnd(deps.pool, tenantId, runId);
  if (end === undefined) return "gone";
  if (!isFinal(end.status)) return "live";
  return {
    status: end.status,
    attempt: end.attempt,
    error: end.error,
    ...(await valuesOf(deps, tenantId, runId, end)),
  };
}

/**
 * The thread's row has the values of the run that ended last; those of an earlier one are in its last checkpoint. They are
 * empty when the graph that has to read them cannot be used (any more): the run has ended all the same, and nobody may wait
 * for that to change. Only an absent Postgres is worth a wait.
 */
async function valuesOf(
  { states, logger }: RunEndDeps,
  tenantId: string,
  runId: string,
  end: RunEnd,
): Promise<Pick<EndedRun, "values" | "interrupts">> {
  if (end.is_current) return { values: end.values ?? {}, interrupts: Object.values(end.interrupts ?? {}).flat() };
  const state = await states.ofRun(tenantId, runId).catch((error: unknown) => {
    if (isConnectionFailure(error)) throw error;
    logger.warn({ run_id: runId, err: error }, "the values of an ended run cannot be read");
    return undefined;
  });
  return { values: state?.values ?? {}, interrupts: state?.interrupts ?? [] };
}
