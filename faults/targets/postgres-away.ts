import { setTimeout as delay } from "node:timers/promises";
import { check } from "../check/check.ts";
import { readHistory } from "../history/history.ts";
import { CampaignClient } from "../load/client.ts";
import { work } from "../load/workload.ts";
import { settle } from "../settle.ts";
import { none, type Target } from "./target.ts";

/** Postgres is gone for 20 s under load: stopped as by a crash. */
export const POSTGRES_AWAY: Target = {
  name: "postgres-away",
  title: "Postgres down for 20 s",
  async measure({ startFleet, openHistory, random, say }) {
    const fleet = await startFleet();
    const { history, file } = openHistory();
    const clients = fleet.tenants.map((tenant) => new CampaignClient(fleet, tenant));
    const stop = new AbortController();
    const working = work({ clients, history }, random, 20, { stop: stop.signal });
    await delay(5_000);
    const before = fleet.nodes.map(({ process }) => process.pid);
    const at = Date.now();
    await fleet.postgres.crash("SIGQUIT");
    await delay(20_000);
    await fleet.postgres.start();
    history.add({
      type: "fault",
      n: 1,
      kind: "Postgres down for 20 s",
      target: "Postgres",
      pid: undefined,
      at,
      healedAt: Date.now(),
      recoversFrom: "healing",
      affected: [],
    });
    await delay(5_000);
    stop.abort();
    const accepted = await working;
    await settle(fleet, history);
    await history.close();
    for (const client of clients) await client.close();
    const { rows } = await fleet.pool.query<{ n: number }>(
      "select count(*)::int as n from runs where status in ('error', 'timeout')",
    );
    const violations = check(await readHistory(file));
    say(`${accepted} runs accepted`);
    for (const { invariant, subject, what } of violations.slice(0, 10)) say(`${invariant} ${subject} ${what}`);
    return [
      none("processes that died", fleet.nodes.filter(({ process }, i) => process.pid !== before[i]).length),
      none("runs that failed", rows[0]?.n ?? NaN),
      none("violations of I1 to I8", violations.length),
    ];
  },
};
