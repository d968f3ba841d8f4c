import { Command, InvalidArgumentError, Option } from "commander";
import { DEFAULT_PORT, DEFAULT_WORKERS } from "./commands.ts";
import { EXIT_CODES } from "./exit-codes.ts";
import { runDev } from "./run-dev.ts";

const EXPLANATION = `
Postgres comes from DATABASE_URL (or DATABASE_URI), else a private one is started: the prebuilt one from npm, else the
system's. Redis comes from REDIS_URL (or REDIS_URI), else redis-server or valkey-server is started, and installed first
when apt-get can do that without a question. Data and logs are in .flotilla beside langgraph.json. The environment of
this command reaches the graphs, e.g. OPENAI_API_KEY.
${EXIT_CODES}`;

export function devCommand(): Command {
  return new Command("dev")
    .description("start Postgres, Redis, a gateway and workers on this machine")
    .addOption(configOption())
    .addOption(
      new Option("-p, --port <number>", "port of the gateway on 127.0.0.1; 0 takes a free one")
        .env("PORT")
        .argParser(port)
        .default(DEFAULT_PORT),
    )
    .option("-w, --workers <number>", "how many worker processes", workers, DEFAULT_WORKERS)
    .addOption(stateOption())
    .option("-v, --verbose", "show all log lines, not only warnings and errors", false)
    .addHelpText("after", EXPLANATION)
    .action(runDev);
}

/** The two options that tell starts apart. */
export function configOption(): Option {
  return new Option("-c, --config <file>", "langgraph.json of the graphs that are served (default: ./langgraph.json)");
}

export function stateOption(): Option {
  return new Option("--state <folder>", "folder of data and logs (default: .flotilla beside langgraph.json)");
}

/** PORT= is the same as no PORT. */
function port(text: string): number {
  return text === "" ? DEFAULT_PORT : wholeNumber(text, 0, 65_535, "--port 2025, or PORT=2025 npm start");
}

function workers(text: string): number {
  return wholeNumber(text, 1, 1000, "--workers 4");
}

function wholeNumber(text: string, least: number, most: number, example: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new InvalidArgumentError(`It has to be a whole number from ${least} to ${most}, e.g. ${example}`);
}
