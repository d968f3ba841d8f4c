import { setTimeout as delay } from "node:timers/promises";
import type { HistoryWriter } from "./history/history.ts";
import { copyEffects, copyTables } from "./stack/audit.ts";
import type { Fleet } from "./stack/fleet.ts";

/**
 * Waits until no run is in flight; then copies what there is to know. Never throws for runs that do not end: the checker says so.
 * @param boundMs how long what is left to be done may take
 */
export async function settle(fleet: Fleet, history: HistoryWriter, boundMs = 120_000): Promise<void> {
  const deadline = performance.now() + boundMs;
  while ((await leftOf(fleet)) > 0 && performance.now() < deadline) await delay(250);
  await delay(2_500); // the notices of lost leases, and the last turns of duties
  await measureResources(fleet, history);
  copyEffects(fleet.effects(), history);
  await copyTables(fleet.pool, history);
}

/** Runs in flight, and threads whose row somebody still has to read from checkpoints that a dead worker left. */
async function leftOf({ pool }: Fleet): Promise<number> {
  const { rows } = await pool.query<{ n: number }>(
    `select (select count(*) from runs where status in ('pending', 'running'))::int
          + (select count(*) from threads where state_stale_at is not null)::int as n`,
  );
  return rows[0]?.n ?? 0;
}

/** What should be back to what it was when nothing ran. */
async function measureResources({ pool, admin, prefix, nodes }: Fleet, history: HistoryWriter): Promise<void> {
  const add = (name: string, value: number, limit: number) => history.add({ type: "resource", name, value, limit });
  const { rows } = await pool.query<{ connections: number; waiting: number; open: number }>(
    `select count(*)::int as connections,
            count(*) filter (where wait_event_type = 'Lock')::int as waiting,
            count(*) filter (where state = 'idle in transaction' and state_change < now() - interval '10 s')::int as open
       from pg_stat_activity where backend_type = 'client backend' and application_name <> 'campaign'`,
  );
  const [row] = rows;
  const stale = await pool.query<{ n: number }>(
    "select count(*)::int as n from threads where state_stale_at is not null",
  );
  add("threads whose row is older than their checkpoints", stale.rows[0]?.n ?? NaN, 0);
  add("Postgres connections", row?.connections ?? NaN, nodes.length * 17);
  add("sessions that wait for a lock", row?.waiting ?? NaN, 0);
  add("transactions left open", row?.open ?? NaN, 0);
  for (const state of ["wait", "active"]) add(`jobs: ${state}`, await admin.llen(`${prefix}:runs:${state}`), 0);
  for (const state of ["delayed", "prioritized"])
    add(`jobs: ${state}`, await admin.zcard(`${prefix}:runs:${state}`), 0);
  for (const { process: one } of nodes)
    add(`processes that ended by themselves: ${one.name}`, one.unexpected.length, 0);
}
