import { randomUUID } from "node:crypto";
import type { Queryable } from "@flotilla/shared/postgres/pool";
import { claimRun, createRun, type ClaimOutcome, type NewRun } from "@flotilla/shared/runs/run-queries";
import type { Dispatch, RunKwargs } from "@flotilla/shared/runs/run";

export type Claimed = Extract<ClaimOutcome, { outcome: "claimed" }>;

/** A run as the gateway would ask for it; a thread of its own unless one is named. */
export function newRun(overrides: Partial<NewRun> = {}, kwargs: Partial<RunKwargs> = {}): NewRun {
  return {
    tenantId: "default",
    threadId: randomUUID(),
    threadMustExist: false,
    temporary: false,
    assistantMetadata: undefined,
    bindGraph: false,
    runId: randomUUID(),
    assistantId: randomUUID(),
    graphId: "steps",
    kwargs: { stream_mode: ["values"], ...kwargs },
    metadata: {},
    threadMetadata: {},
    strategy: "enqueue",
    delaySeconds: 0,
    resume: undefined,
    idempotency: undefined,
    ...overrides,
  };
}

/** Accepts a run; anything but `created` is a failure of the test. */
export async function acceptRun(db: Queryable, run: NewRun): Promise<{ run: NewRun; dispatch: Dispatch | null }> {
  const created = await createRun(db, run);
  if (created.outcome !== "created") throw new Error(`the run was not accepted: ${JSON.stringify(created)}`);
  return { run, dispatch: created.dispatch };
}

/** Makes the test itself the holder of a run. */
export async function holdRun(
  db: Queryable,
  runId: string,
  { holder = "the test", leaseSeconds = 60 } = {},
): Promise<Claimed> {
  const claim = await claimRun(db, runId, holder, leaseSeconds, true);
  if (claim.outcome !== "claimed") throw new Error(`the claim was refused: ${claim.outcome}`);
  return claim;
}

/** A run that is running, held by the test. */
export async function startHeldRun(
  db: Queryable,
  overrides: Partial<NewRun> = {},
  kwargs: Partial<RunKwargs> = {},
): Promise<Claimed["run"]> {
  const { run } = await acceptRun(db, newRun(overrides, kwargs));
  return (await holdRun(db, run.runId)).run;
}
