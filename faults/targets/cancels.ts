import { check } from "../check/check.ts";
import { readHistory } from "../history/history.ts";
import { CampaignClient } from "../load/client.ts";
import { CANCELS, work } from "../load/workload.ts";
import { settle } from "../settle.ts";
import { none, type Target } from "./target.ts";

/** Cancels at random instants: before the run begins, in the middle of it, as it ends. */
export const CANCELLED: Target = {
  name: "cancels",
  title: "500 cancels at random instants",
  async measure({ startFleet, openHistory, random, quick, say }) {
    const fleet = await startFleet();
    const { history, file } = openHistory();
    const clients = fleet.tenants.map((tenant) => new CampaignClient(fleet, tenant));
    await work({ clients, history }, random, 20, { enough: quick ? 150 : 520, kinds: CANCELS });
    await settle(fleet, history);
    await history.close();
    for (const client of clients) await client.close();
    const whole = await readHistory(file);
    const violations = check(whole);
    for (const { invariant, subject, what } of violations.slice(0, 10)) say(`${invariant} ${subject} ${what}`);
    const ends = (status: string): number => whole.run.filter((row) => row.status === status).length;
    say(
      `${whole.cancel.length} cancels: ${ends("success")} came too late, ${ends("interrupted")} interrupted, ${whole.accepted.length - whole.run.length} rolled back`,
    );
    return [
      { name: "cancels", unit: "", value: whole.cancel.length, goal: { atLeast: quick ? 100 : 500 } },
      none("runs with two ends, with none, or that went on after it", violations.length),
    ];
  },
};
