import { Conflict } from "@flotilla/shared/errors";
import type { Pool } from "@flotilla/shared/postgres/pool";
import { runId as runIdSchema } from "@flotilla/shared/protocol/ids";
import type { CreateRunBody } from "@flotilla/shared/protocol/run-body";
import { getRun } from "@flotilla/shared/runs/run-queries";

/**
 * A graph that calls another one of its own server (`RemoteGraph` as a node) hands on its config, its thread included: a run
 * that waits there for its turn would wait for the run that waits for it. Such a submission names that run, because LangGraph
 * puts a run's id into its config.
 * @throws Conflict for a run that would wait for itself.
 */
export async function refuseSelfWait(
  pool: Pool,
  tenantId: string,
  threadId: string | undefined,
  body: CreateRunBody,
): Promise<void> {
  const caller = runIdSchema.safeParse(body.config?.configurable?.["run_id"]);
  if (threadId === undefined || !caller.success || (body.multitask_strategy ?? "enqueue") !== "enqueue") return;
  const run = await getRun(pool, tenantId, threadId, caller.data);
  if (run?.status !== "running") return;
  throw new Conflict(
    "waits_for_itself",
    `Run ${caller.data} calls a graph on its own thread "${threadId}" and waits for it, which waits for the thread. Call it without a thread or on another one`,
  );
}
