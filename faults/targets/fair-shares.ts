import { randomUUID } from "node:crypto";
import { percentile } from "../../bench/report/statistics.ts";
import { inParallel } from "../../bench/client/in-parallel.ts";
import { CampaignClient } from "../load/client.ts";
import type { Target } from "./target.ts";

/** A tenant has thousands of runs waiting when another comes with ten. */
export const FAIR_SHARES: Target = {
  name: "fair-shares",
  long: true,
  title: "10 runs of one tenant behind 5,000 of another",
  async measure({ startFleet, quick, say }) {
    const many = quick ? 1_000 : 5_000;
    const fleet = await startFleet();
    const [crowd, newcomer] = fleet.tenants.map((tenant) => new CampaignClient(fleet, tenant)) as [
      CampaignClient,
      CampaignClient,
    ];
    const submit = async (client: CampaignClient): Promise<void> => {
      const key = randomUUID();
      const body = { input: { inputs: [key], steps: 1, step_ms: 500 } };
      const answer = await client.submit("/graphs/steps/invoke", body, key);
      if (answer === undefined || answer.status >= 300) throw new Error(`not accepted: ${JSON.stringify(answer)}`);
    };
    await inParallel(many, 20, () => submit(crowd));
    await inParallel(10, 10, () => submit(newcomer));
    const waits = async (tenant: string): Promise<number[]> => {
      const { rows } = await fleet.pool.query<{ seconds: number | null }>(
        `select extract(epoch from started_at - created_at)::double precision as seconds from runs where tenant_id = $1`,
        [tenant],
      );
      return rows.map(({ seconds }) => seconds ?? Infinity);
    };
    const deadline = performance.now() + 300_000;
    let own = await waits("globex");
    while (own.some((seconds) => seconds === Infinity) && performance.now() < deadline) own = await waits("globex");
    const { rows } = await fleet.pool.query<{ left: number }>(
      "select count(*)::int as left from runs where tenant_id = 'acme' and status = 'pending'",
    );
    const left = rows[0]?.left ?? NaN;
    say(`${left} runs of the other tenant were still waiting when the last of the ten began`);
    await crowd.close();
    await newcomer.close();
    return [
      { name: "wait of the ten, p95", unit: "s", value: percentile(own, 95), goal: { atMost: 10 } },
      { name: `of ${many} others still waiting then`, unit: "", value: left, goal: { atLeast: many / 4 } },
    ];
  },
};
