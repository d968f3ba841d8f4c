import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { describeCommit } from "../bench/report/commit.ts";
import { parseArguments, USAGE, type CampaignArguments } from "./arguments.ts";
import { renderReport, renderTargets } from "./report/report.ts";
import { runCampaign } from "./run-campaign.ts";
import { measureTarget, type MeasuredTarget } from "./targets/measure.ts";

// The entry of `npm run test:faults`: options, targets one by one, the campaign, report.

let options: CampaignArguments;
try {
  options = parseArguments(process.argv.slice(2));
} catch (error) {
  console.error(`${(error as Error).message}\n\n${USAGE}`);
  process.exit(2);
}
try {
  if (options.help) console.log(USAGE);
  else process.exitCode = await run(options);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
process.exit(); // after a failure, applications may still be waiting for a fleet that is gone

async function run({ targets, minutes, ...rest }: CampaignArguments): Promise<number> {
  const { seed, out, quick } = rest;
  mkdirSync(out, { recursive: true });
  const interrupted = new AbortController();
  process.once("SIGINT", () => interrupted.abort());
  const commit = describeCommit();
  console.log(`seed ${seed}, commit ${commit}, Node ${process.version}, ${cpus().length} processors`);

  const measured: MeasuredTarget[] = [];
  for (const target of targets) {
    if (interrupted.signal.aborted) break;
    measured.push(await measureTarget(target, { seed, quick, out }));
  }

  let faults = 0;
  const progress = setInterval(
    () => faults > 0 && console.log(`   ${new Date().toISOString().slice(11, 19)}  ${faults} faults`),
    30_000,
  );
  if (minutes > 0) console.log(`\n${minutes} minutes of faults`);
  const campaign =
    minutes > 0 && !interrupted.signal.aborted
      ? await runCampaign({ ...rest, minutes, commit, interrupted: interrupted.signal, onFault: () => faults++ })
      : undefined;
  clearInterval(progress);

  const report = { at: new Date().toISOString(), seed, commit, processors: cpus().length, targets: measured, campaign };
  writeFileSync(join(out, "report.json"), JSON.stringify(report, null, 2));
  if (measured.length > 0) console.log(`\n${renderTargets(measured)}`);
  if (campaign !== undefined) console.log(`\n${renderReport(campaign)}`);
  console.log(`\n${join(out, "report.json")}`);
  const missed = measured.some(({ figures }) => figures.some(({ reached }) => reached === false));
  return missed || (campaign?.violations.length ?? 0) > 0 ? 1 : 0;
}
