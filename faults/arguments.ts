import { parseArgs } from "node:util";
import { BROKEN_BUILDS } from "./broken-builds.ts";
import { TARGETS } from "./targets/all.ts";
import type { Target } from "./targets/target.ts";

export interface CampaignArguments {
  readonly help: boolean;
  readonly seed: number;
  /** Of random faults; 0 for none. */
  readonly minutes: number;
  readonly targets: readonly Target[];
  readonly quick: boolean;
  /** Applications that submit, one thing after the other each. */
  readonly clients: number;
  readonly jobsPerWorker: number;
  readonly patienceSeconds: number;
  /** Folder for histories and report. */
  readonly out: string;
  /** A build that was broken on purpose. */
  readonly broken: string | undefined;
}

const broken = Object.keys(BROKEN_BUILDS).join(", ");

export const USAGE = `npm run test:faults -- [options]

Two gateways, three workers, a Postgres and a Redis of their own, and a network between them that is broken again and again
while applications submit, follow, cancel and approve runs. Every promise is checked at the end, over all that happened. Before
that, what is promised with a number is measured, one fault at a time.

  --minutes N      of random faults (4); 0 for none; a night is --minutes 480
  --seed N         the same faults and the same load again; by default another one each time
  --targets A,B,…  what to measure: all by default, or none: ${TARGETS.map(({ name }) => name).join(", ")}
  --quick          fewer targets and repetitions, and a minute of random faults: under six minutes in all
  --clients N      applications at work (40)
  --jobs N         runs that a worker executes at once, N_JOBS_PER_WORKER (10)
  --patience N     seconds that an application puts up with, and that what is left at the end may take (120)
  --out FOLDER     where histories (JSON lines) and report.json go (.flotilla/faults)
  --broken NAME    a build that is broken on purpose, which the check has to find out: ${broken}
  --help

Exit code 0: everything held, and every target was reached. 1: something did not. 2: wrong usage.
`;

/** @throws Error that says what is wrong with the command line. */
export function parseArguments(args: string[]): CampaignArguments {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: "boolean", default: false },
      minutes: { type: "string" },
      seed: { type: "string" },
      targets: { type: "string" },
      quick: { type: "boolean", default: false },
      clients: { type: "string", default: "40" },
      jobs: { type: "string", default: "10" },
      patience: { type: "string", default: "120" },
      out: { type: "string", default: ".flotilla/faults" },
      broken: { type: "string" },
    },
  });
  if (values.broken !== undefined && !(values.broken in BROKEN_BUILDS))
    throw new Error(`--broken takes ${broken}; got ${values.broken}`);
  return {
    help: values.help,
    seed: values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : number("--seed", values.seed, 0),
    minutes: number("--minutes", values.minutes ?? (values.quick ? "1" : "4"), 0),
    targets:
      values.broken !== undefined && values.targets === undefined ? [] : parseTargets(values.targets, values.quick),
    quick: values.quick,
    clients: number("--clients", values.clients, 1),
    jobsPerWorker: number("--jobs", values.jobs, 1),
    patienceSeconds: number("--patience", values.patience, 1),
    out: values.out,
    broken: values.broken,
  };
}

function parseTargets(text: string | undefined, quick: boolean): readonly Target[] {
  if (text === undefined) return TARGETS.filter(({ long }) => !quick || long !== true);
  if (text === "none") return [];
  const names = text.split(",");
  const unknown = names.find((name) => !TARGETS.some((target) => target.name === name));
  if (unknown !== undefined)
    throw new Error(`--targets takes ${TARGETS.map(({ name }) => name).join(", ")}, or none; got ${unknown}`);
  return TARGETS.filter(({ name }) => names.includes(name));
}

function number(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < least)
    throw new Error(`${option} takes a number from ${least}; got ${text}`);
  return value;
}
