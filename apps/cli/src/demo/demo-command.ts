import { Command } from "commander";
import { npmRun, npmStart, type Choice } from "../dev/commands.ts";
import { configOption, stateOption } from "../dev/dev-command.ts";
import type { DevNotes } from "../dev/dev-lock.ts";
import { userFolder } from "../dev/project.ts";
import { databaseOf, runningStart } from "../dev/running-start.ts";
import { StartupError } from "../stack/startup-error.ts";
import { formatDuration, style } from "../terminal.ts";
import { followRun, type FollowOptions } from "./follow-run.ts";
import { describeHolder, findHolder } from "./holder.ts";
import { narrate, withTime } from "./narration.ts";
import { readDocuments } from "./sample-documents.ts";
import { documentWork, slowWork, type Work } from "./work.ts";

interface DemoOptions extends Choice {
  readonly url?: string;
  readonly apiKey?: string;
  readonly slow: boolean;
}

const DEFAULT_URL = "http://127.0.0.1:2024";

export function demoCommand(): Command {
  return new Command("demo")
    .description("send documents through the document_processor graph and watch its agents work")
    .argument("[files...]", "documents to send (default: those in examples/documents)")
    .option("--slow", "count to 60 instead, one step a second, and say which worker to kill meanwhile", false)
    .option("-u, --url <address>", `gateway (default: the one that runs in this folder, else ${DEFAULT_URL})`)
    .option("-k, --api-key <key>", "for a gateway that asks for one (default: FLOTILLA_API_KEY)")
    .addOption(configOption())
    .addOption(stateOption())
    .action(runDemo);
}

/** Shows a run live, and takes its stream up again when the connection drops: kill a worker meanwhile to see it. */
async function runDemo(files: string[], options: DemoOptions): Promise<void> {
  const { url, start } = findGateway(options);
  const work = options.slow ? slowWork() : documentWork(readDocuments(files, userFolder()));
  const startedAt = performance.now();
  const say = (text: string): void => console.log(withTime(performance.now() - startedAt, text));
  say(work.title);
  const values = await show(work, { url, start, options, say });
  console.log(`\n${work.describe(values)}\n`);
  console.log(style("green", `Done in ${formatDuration(performance.now() - startedAt)}.`));
}

interface Stage {
  readonly url: string;
  readonly start: DevNotes | undefined;
  readonly options: DemoOptions;
  say(text: string): void;
}

/** Follows the run to its end and gives its last values. */
async function show({ graph, input, streamMode }: Work, stage: Stage): Promise<Record<string, unknown>> {
  const { url, options, say } = stage;
  const apiKey = options.apiKey ?? process.env["FLOTILLA_API_KEY"];
  const body = { input, stream_mode: streamMode };
  let values: Record<string, unknown> = {};
  for await (const event of followRun({ url, graph, body, apiKey, say, remedies: remediesOf(options) })) {
    if (event.event === "values") values = JSON.parse(event.data) as Record<string, unknown>;
    const line = narrate(event);
    if (line !== undefined) say(line);
    if (event.event === "metadata" && options.slow) await sayHolder(event.data, stage);
    if (event.event === "error") throw new StartupError("demo", "the run ended with an error");
  }
  return values;
}

/** Every attempt begins with this event, after its worker has claimed the run. */
async function sayHolder(metadata: string, { start, options, say }: Stage): Promise<void> {
  const { run_id: runId } = JSON.parse(metadata) as { run_id: string };
  const everyWorker = 'pgrep -fa "flotilla worker"   (lists the workers; kill -9 the one that holds the run)';
  try {
    const holder = await findHolder(databaseOf(options, ""), runId);
    say(style("bold", holder === undefined ? everyWorker : describeHolder(holder, start)));
  } catch {
    say(everyWorker); // somebody else's database, whose address is not known here
  }
}

function remediesOf({ config, state, slow }: DemoOptions): FollowOptions["remedies"] {
  const choice = { config, state };
  const demo = npmRun("demo", choice, ...(slow ? ["--slow"] : []));
  return {
    noGateway: `${npmStart(choice)}   (in another terminal)\nor npm run demo -- --url http://host:port`,
    noKey: `${npmRun("keys", choice, "create")}   (prints a key)\nthen FLOTILLA_API_KEY=<key> ${demo}`,
  };
}

/** The gateway that is meant, and the start that it belongs to when that is known. */
function findGateway(options: DemoOptions): { url: string; start: DevNotes | undefined } {
  const { url, config, state } = options;
  const start = runningStart({ config, state });
  const given = url?.replace(/\/$/, "");
  if (given !== undefined) return { url: given, start: given === start?.url ? start : undefined };
  if (start !== undefined) return { url: start.url, start };
  if (config === undefined && state === undefined) return { url: DEFAULT_URL, start };
  throw new StartupError("demo", "no Flotilla runs with these options", {
    remedy: remediesOf(options).noGateway,
  });
}
