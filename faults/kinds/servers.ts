import { setTimeout as delay } from "node:timers/promises";
import type { Fleet } from "../stack/fleet.ts";
import { runsOf, type FaultContext, type FaultKind, type Injected } from "./fault.ts";

/** Faults of Postgres and Redis themselves, which everybody feels. */

async function disturb({ fleet }: FaultContext, target: string, act: () => Promise<void>): Promise<Injected> {
  const affected = await runsOf(fleet);
  const at = Date.now();
  await act();
  return { target, pid: undefined, at, healedAt: Date.now(), affected };
}

const redis = (
  name: string,
  weight: number,
  act: (fleet: Fleet, context: FaultContext) => Promise<unknown>,
): FaultKind => ({
  name: `Redis ${name}`,
  weight,
  recoversFrom: "healing",
  inject: (context) => disturb(context, "Redis", async () => void (await act(context.fleet, context))),
});

const postgres = (
  name: string,
  weight: number,
  act: (fleet: Fleet, context: FaultContext) => Promise<unknown>,
): FaultKind => ({
  name: `Postgres ${name}`,
  weight,
  recoversFrom: "healing",
  inject: (context) => disturb(context, "Postgres", async () => void (await act(context.fleet, context))),
});

export const SERVER_FAULTS: readonly FaultKind[] = [
  redis("wiped", 5, ({ admin }) => admin.flushall()),
  redis("killed and started", 3, async ({ redis: server }, { random }) => {
    await server.crash("SIGKILL");
    await delay(random.int(0, 2_000));
    await server.start();
  }),
  redis("hangs", 2, async ({ redis: server }, { random }) => {
    server.signal("SIGSTOP");
    await delay(random.int(500, 6_000));
    server.signal("SIGCONT");
  }),
  redis("forgets its subscribers", 3, ({ admin }) => admin.call("CLIENT", "KILL", "TYPE", "pubsub")),
  redis("gives a job five times", 3, duplicateJobs),
  postgres("ends every connection", 5, ({ pool }) =>
    pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and backend_type = 'client backend' and application_name <> 'campaign'",
    ),
  ),
  postgres("killed and started", 2, async ({ postgres: server }, { random }) => {
    await server.crash("SIGQUIT");
    await delay(random.int(0, 5_000));
    await server.start();
  }),
];

/** Jobs for runs that are pending or running already: only one claim may win. */
async function duplicateJobs({ pool, queue }: Fleet): Promise<void> {
  const { rows } = await pool.query<{ run_id: string; attempt: number }>(
    "select run_id, attempt from runs where status in ('pending', 'running') order by random() limit 10",
  );
  const now = Date.now();
  for (const run of rows)
    for (const copy of [1, 2, 3, 4, 5]) await queue.enqueue({ ...run, dispatch: now + copy, dispatched_at: now });
}
