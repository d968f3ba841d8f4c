import { join } from "node:path";
import { Command } from "commander";
import { readDevNotes } from "../dev/dev-lock.ts";
import { userFolder } from "../dev/project.ts";
import { StartupError } from "../stack/startup-error.ts";
import { formatDuration, style } from "../terminal.ts";
import { followRun } from "./follow-run.ts";
import { describeResult, narrate, withTime } from "./narration.ts";
import { readDocuments, type InputDocument } from "./sample-documents.ts";

interface DemoOptions {
  readonly url?: string;
  readonly apiKey?: string;
}

const GRAPH = "document_processor";
const DEFAULT_URL = "http://127.0.0.1:2024";

export function demoCommand(): Command {
  return new Command("demo")
    .description("send documents through the document_processor graph and watch its agents work")
    .argument("[files...]", "documents to send (default: those in examples/documents)")
    .option("-u, --url <address>", `gateway (default: the one that runs in this folder, else ${DEFAULT_URL})`)
    .option("-k, --api-key <key>", "for a gateway that asks for one (default: FLOTILLA_API_KEY)")
    .action(runDemo);
}

/** Shows a run live, and takes its stream up again when the connection drops: kill a worker meanwhile to see it. */
async function runDemo(files: string[], options: DemoOptions): Promise<void> {
  const url = (options.url ?? runningHere() ?? DEFAULT_URL).replace(/\/$/, "");
  const documents = readDocuments(files, userFolder());
  const startedAt = performance.now();
  const say = (text: string): void => console.log(withTime(performance.now() - startedAt, text));
  say(`sending ${describe(documents)}`);

  const body = { input: { documents }, stream_mode: ["updates", "custom", "values"] };
  const apiKey = options.apiKey ?? process.env["FLOTILLA_API_KEY"];
  let values: Record<string, unknown> | undefined;
  let failed = false;
  for await (const event of followRun({ url, graph: GRAPH, body, apiKey, say })) {
    failed ||= event.event === "error";
    if (event.event === "values") values = JSON.parse(event.data) as Record<string, unknown>;
    const line = narrate(event);
    if (line !== undefined) say(line);
  }
  if (failed) throw new StartupError("demo", "the run ended with an error");
  if (values !== undefined) console.log(`\n${describeResult(values)}\n`);
  console.log(style("green", `Done in ${formatDuration(performance.now() - startedAt)}.`));
}

function describe(documents: readonly InputDocument[]): string {
  const names = documents.map(({ name }) => name);
  if (names.length === 1) return names.join("");
  return `${names.length} documents: ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`;
}

function runningHere(): string | undefined {
  return readDevNotes(join(process.cwd(), ".flotilla/dev.json"))?.url;
}
