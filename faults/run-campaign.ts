import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { BROKEN_BUILDS } from "./broken-builds.ts";
import { disturb, lanesOf } from "./campaign.ts";
import { check } from "./check/check.ts";
import { HistoryWriter, readHistory } from "./history/history.ts";
import type { FaultLine } from "./history/lines.ts";
import { CampaignClient } from "./load/client.ts";
import { submitPoison, work } from "./load/workload.ts";
import { Random } from "./random.ts";
import { reportOf, type Report } from "./report/report.ts";
import { settle } from "./settle.ts";
import { Fleet } from "./stack/fleet.ts";

export interface CampaignOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly clients: number;
  readonly jobsPerWorker: number;
  /** What an application puts up with before it gives up, and how long what is left at the end may take. */
  readonly patienceSeconds: number;
  /** A name of BROKEN_BUILDS. */
  readonly broken: string | undefined;
  /** Folder that exists, for history.jsonl. */
  readonly out: string;
  readonly commit: string;
  /** Ends the faults early; what was begun is brought to its end. */
  readonly interrupted: AbortSignal;
  onFault?(fault: FaultLine): void;
}

/** A fleet under load and under faults, for so many minutes; then everything that happened is judged. */
export async function runCampaign(options: CampaignOptions): Promise<Report> {
  const { seed, minutes, clients, jobsPerWorker, broken, out, commit } = options;
  const patienceMs = options.patienceSeconds * 1_000;
  const build = broken === undefined ? undefined : BROKEN_BUILDS[broken];
  const file = join(out, "history.jsonl");
  const history = new HistoryWriter(file);
  const fleet = await Fleet.start({
    gateways: 2,
    workers: 3,
    jobsPerWorker,
    ...build?.fleet,
  });
  const [stopLoad, stopFaults] = [new AbortController(), new AbortController()];
  options.interrupted.addEventListener("abort", () => stopFaults.abort(), { once: true });
  const clock = setTimeout(() => stopFaults.abort(), minutes * 60_000);
  try {
    history.add({
      type: "campaign",
      seed,
      at: Date.now(),
      commit,
      options: { minutes, clients, jobsPerWorker, broken },
    });
    const random = new Random(seed);
    const users = fleet.tenants.map((tenant) => new CampaignClient(fleet, tenant, patienceMs));
    const load = { clients: users, history };
    const working = Promise.all([
      work(load, random.fork(), clients, { stop: stopLoad.signal, ...(build?.load && { kinds: build.load }) }),
      build === undefined ? submitPoison(load) : undefined,
    ]);
    const { onFault } = options;
    await disturb({
      fleet,
      lanes: lanesOf(fleet, build?.faults),
      history,
      random: random.fork(),
      stop: stopFaults.signal,
      ...(onFault && { onFault }),
    });
    await delay(1_000);
    stopLoad.abort();
    await working;
    await settle(fleet, history, patienceMs);
    for (const user of users) await user.close();
    for (const { process: one } of fleet.nodes) for (const end of one.unexpected) console.error(end);
  } finally {
    clearTimeout(clock);
    stopFaults.abort();
    stopLoad.abort();
    await history.close();
    await fleet.stop();
  }
  const whole = await readHistory(file);
  return reportOf(whole, check(whole));
}
