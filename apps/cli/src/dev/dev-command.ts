import { Command, InvalidArgumentError } from "commander";
import { EXIT_CODES } from "./exit-codes.ts";
import { runDev } from "./run-dev.ts";

const DEFAULT_PORT = 2024;

const EXPLANATION = `
Postgres comes from DATABASE_URL (or DATABASE_URI), else a private one is started: the prebuilt one from npm, else the
system's. Redis comes from REDIS_URL (or REDIS_URI), else redis-server or valkey-server is started, and installed first
when apt-get can do that without a question. Data and logs are in .flotilla beside langgraph.json. The environment of
this command reaches the graphs, e.g. OPENAI_API_KEY.
${EXIT_CODES}`;

export function devCommand(): Command {
  return new Command("dev")
    .description("start Postgres, Redis, a gateway and workers on this machine")
    .option("-c, --config <file>", "langgraph.json of the graphs to serve (default: ./langgraph.json)")
    .option("-p, --port <number>", "port of the gateway on 127.0.0.1", wholeNumber, portFromEnvironment())
    .option("-w, --workers <number>", "how many worker processes", wholeNumber, 2)
    .option("--state <folder>", "folder for data and logs (default: .flotilla beside langgraph.json)")
    .option("-v, --verbose", "show all log lines, not only warnings and errors", false)
    .addHelpText("after", EXPLANATION)
    .action(runDev);
}

function portFromEnvironment(): number {
  return process.env["PORT"] ? wholeNumber(process.env["PORT"]) : DEFAULT_PORT;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number <= 65_535) return number;
  throw new InvalidArgumentError("it has to be a whole number.");
}
