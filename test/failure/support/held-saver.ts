import { FencedSaver } from "@flotilla/shared/graphs/checkpoints/fenced-saver";
import type { CheckpointRow } from "@flotilla/shared/graphs/checkpoints/checkpoint-row";
import { GroupWriter } from "@flotilla/shared/graphs/checkpoints/group-writer";
import type { Pool } from "@flotilla/shared/postgres/pool";
import { acceptRun, holdRun, newRun, type Claimed } from "./runs.ts";

export interface HeldSaver {
  readonly run: Claimed["run"];
  readonly saver: FencedSaver;
  readonly writer: GroupWriter;
}

/** A new run, held by the test, with the saver that its worker would have. */
export async function holdNewRun(
  pool: Pool,
  { threadId, tenantId = "default", writer }: { threadId?: string; tenantId?: string; writer?: GroupWriter } = {},
): Promise<HeldSaver> {
  const { run } = await acceptRun(pool, newRun({ tenantId, ...(threadId === undefined ? {} : { threadId }) }));
  return openSaver(pool, await holdRun(pool, run.runId), writer);
}

/** The saver of a claimed attempt. */
export function openSaver(pool: Pool, claim: Claimed, writer = new GroupWriter({ pool })): HeldSaver {
  const { run } = claim;
  const saver = new FencedSaver({
    pool,
    writer,
    tenantId: run.tenant_id,
    fence: { runId: run.run_id, attempt: run.attempt },
    signal: new AbortController().signal,
    metadata: {},
    latest: (claim.checkpoint as CheckpointRow | null) ?? undefined,
  });
  return { run, saver, writer };
}
