import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { CampaignClient } from "../load/client.ts";
import { until } from "./long-runs.ts";
import { none, type Target } from "./target.ts";

const TIMES = 50;

/** An application that does not know whether it was heard says the same again, everywhere at once. */
export const SAME_KEY: Target = {
  name: "same-key",
  title: `one submission sent ${TIMES} times to two gateways, one of which is killed`,
  async measure({ startFleet, quick, random }) {
    const fleet = await startFleet();
    const client = new CampaignClient(fleet, fleet.tenants[0] as (typeof fleet.tenants)[0]);
    const doomed = fleet.gateways[0] as (typeof fleet.gateways)[0];
    let [others, rows, taken] = [0, 0, 0];
    for (let round = 0; round < (quick ? 3 : 10); round++) {
      await until("both gateways", 60, () => doomed.process.url);
      const key = randomUUID();
      const body = { input: { inputs: [key], steps: 2, step_ms: 5 } };
      const answers = Promise.all(
        Array.from({ length: TIMES }, () => client.submit("/graphs/steps/invoke", body, key)),
      );
      await delay(random.int(0, 30));
      doomed.process.signal("SIGKILL");
      const ids = new Set((await answers).map((answer) => answer?.body["run_id"]));
      others += ids.size - 1;
      const found = await fleet.pool.query<{ n: number }>(
        "select count(*)::int as n from runs where kwargs::jsonb -> 'input' -> 'inputs' ->> 0 = $1",
        [key],
      );
      rows += (found.rows[0]?.n ?? NaN) - 1;
      const other = await client.submit("/graphs/steps/invoke", { input: { inputs: ["another"] } }, key);
      if (other?.status !== 422) taken++;
    }
    await client.close();
    return [
      none("submissions that were given another run", others),
      none("runs too many", rows),
      none("other bodies under the same key that were not refused with 422", taken),
    ];
  },
};
