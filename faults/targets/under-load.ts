import { setTimeout as delay } from "node:timers/promises";
import { check } from "../check/check.ts";
import type { Violation } from "../check/violation.ts";
import { readHistory, type History } from "../history/history.ts";
import { CampaignClient } from "../load/client.ts";
import { work } from "../load/workload.ts";
import { settle } from "../settle.ts";
import type { Fleet } from "../stack/fleet.ts";
import type { TargetContext } from "./target.ts";

export interface Aftermath {
  readonly accepted: number;
  readonly history: History;
  readonly violations: readonly Violation[];
}

/**
 * Does one harm to a fleet whose applications are at work, and judges everything that happened.
 * @param harm returns when the system was left alone again
 */
export async function underLoad(
  { openHistory, random, say }: TargetContext,
  fleet: Fleet,
  { kind, target, clients = 20 }: { kind: string; target: string; clients?: number },
  harm: () => Promise<void>,
): Promise<Aftermath> {
  const { history, file } = openHistory();
  const users = fleet.tenants.map((tenant) => new CampaignClient(fleet, tenant));
  const stop = new AbortController();
  const working = work({ clients: users, history }, random, clients, { stop: stop.signal });
  await delay(5_000);
  const at = Date.now();
  await harm();
  const more = { n: 1, pid: undefined, recoversFrom: "healing" as const, affected: [] };
  history.add({ type: "fault", kind, target, at, healedAt: Date.now(), ...more });
  await delay(5_000);
  stop.abort();
  const accepted = await working;
  await settle(fleet, history);
  await history.close();
  for (const user of users) await user.close();
  const whole = await readHistory(file);
  const violations = check(whole);
  say(`${accepted} runs accepted`);
  for (const { invariant, subject, what } of violations.slice(0, 10)) say(`${invariant} ${subject} ${what}`);
  return { accepted, history: whole, violations };
}
