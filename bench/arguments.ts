import { parseArgs } from "node:util";
import { MEMORY, SCENARIOS } from "./scenarios/all.ts";

export interface BenchArguments {
  help: boolean;
  /** of a running server; a private one is started when absent */
  url: string | undefined;
  scenarios: ReadonlySet<number>;
  repeats: number;
  workers: number;
  jobsPerWorker: number;
  patienceSeconds: number;
  json: string | undefined;
}

export const USAGE = `npm run bench -- [options]

  --url URL            measure the gateway that runs there; its langgraph.json has to be bench/graphs/langgraph.json.
                       Otherwise everything is started for the measurement, and removed after it
  --scenarios 1,2,…    which; all of them by default
  --repeats N          repetitions of each; the table shows medians (3)
  --workers N          worker processes (2)
  --jobs N             runs that a worker executes at once, N_JOBS_PER_WORKER (100)
  --patience SECONDS   how long to wait before each repetition for a quiet machine (30)
  --json FILE          every repetition's figures, and the load before it
  --help

Scenarios
${[
  ...SCENARIOS,
  { number: MEMORY, title: "memory: gateway and workers, at idle and at the peak of the scenarios chosen" },
]
  .toSorted((a, b) => a.number - b.number)
  .map(({ number, title }) => `  ${number}  ${title}`)
  .join("\n")}
`;

/** @throws Error that says what is wrong with the command line. */
export function parseArguments(args: string[]): BenchArguments {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: "boolean", default: false },
      url: { type: "string" },
      scenarios: { type: "string" },
      repeats: { type: "string", default: "3" },
      workers: { type: "string", default: "2" },
      jobs: { type: "string", default: "100" },
      patience: { type: "string", default: "30" },
      json: { type: "string" },
    },
  });
  return {
    help: values.help,
    url: values.url,
    scenarios: parseScenarios(values.scenarios),
    repeats: parseCount("--repeats", values.repeats),
    workers: parseCount("--workers", values.workers),
    jobsPerWorker: parseCount("--jobs", values.jobs),
    patienceSeconds: parseCount("--patience", values.patience, 0),
    json: values.json,
  };
}

function parseScenarios(text: string | undefined): ReadonlySet<number> {
  const known = [...SCENARIOS.map(({ number }) => number), MEMORY];
  if (text === undefined) return new Set(known);
  const chosen = text.split(",").map(Number);
  const unknown = chosen.filter((number) => !known.includes(number));
  if (unknown.length > 0)
    throw new Error(`--scenarios takes ${known.toSorted((a, b) => a - b).join(", ")}; got ${text}`);
  return new Set(chosen);
}

function parseCount(option: string, text: string, least = 1): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < least)
    throw new Error(`${option} takes a whole number from ${least}; got ${text}`);
  return count;
}
