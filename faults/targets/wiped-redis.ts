import { LongRuns, until } from "./long-runs.ts";
import { none, type Target } from "./target.ts";

/** FLUSHALL with ten runs active and a hundred behind them. */
export const WIPED: Target = {
  name: "wiped",
  title: "Redis FLUSHALL with 100 pending and 10 active runs",
  async measure({ startFleet, say }) {
    const fleet = await startFleet({ workers: 1, jobsPerWorker: 10 });
    const runs = new LongRuns(fleet);
    await runs.submit(10, { steps: 300, step_ms: 100 });
    const count = async (condition: string): Promise<number> => {
      const { rows } = await fleet.pool.query<{ n: number }>(`select count(*)::int as n from runs where ${condition}`);
      return rows[0]?.n ?? NaN;
    };
    await until("ten active runs", 60, async () => (await count("status = 'running'")) === 10 || undefined);
    await runs.submit(100, { steps: 2, step_ms: 5 });
    const { rows } = await fleet.pool.query<{ run_id: string; dispatch: number }>(
      "select run_id, dispatch from runs where status = 'pending' and dispatched_at is not null",
    );
    say(`${rows.length} of the pending runs were on the queue`);
    const before = new Map(rows.map((row) => [row.run_id, row.dispatch]));
    const at = performance.now();
    await fleet.admin.flushall();
    await until("each run's new dispatch", 60, async () => {
      const now = await fleet.pool.query<{ run_id: string; dispatch: number; status: string }>(
        "select run_id, dispatch, status from runs where run_id = any($1)",
        [[...before.keys()]],
      );
      return (
        now.rows.every((row) => row.status !== "pending" || row.dispatch > (before.get(row.run_id) ?? 0)) || undefined
      );
    });
    const seconds = (performance.now() - at) / 1_000;
    for (const handle of runs.handles) await runs.client.ended(handle);
    const failed = await count("status <> 'success'");
    const again = await count("attempt > 1");
    await runs.close();
    return [
      { name: "until all were dispatched again", unit: "s", value: seconds, goal: { atMost: 5 } },
      none("of 110 runs did not succeed", failed),
      none("were disturbed in their execution", again),
    ];
  },
};
