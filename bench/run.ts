import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArguments, USAGE, type BenchArguments } from "./arguments.ts";
import { FlotillaClient } from "./client/flotilla-client.ts";
import { describeCommit } from "./report/commit.ts";
import type { Figure, Summary } from "./report/figure.ts";
import { summarise } from "./report/summarise.ts";
import { renderTable, rounded } from "./report/table.ts";
import { MEMORY, SCENARIOS } from "./scenarios/all.ts";
import { MemoryWatch } from "./stack/memory.ts";
import { startPrivateStack } from "./stack/private-stack.ts";
import { untilQuiet, type MachineLoad } from "./stack/quiet-machine.ts";

// The entry of the measurements: options, server, scenarios, table.

interface Repetition {
  scenario: number;
  load: MachineLoad;
  figures: Figure[];
}

try {
  const options = parseArguments(process.argv.slice(2));
  if (options.help) console.log(USAGE);
  else await measure(options);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function measure(options: BenchArguments): Promise<void> {
  const stack = options.url === undefined ? await startPrivateStack(options) : undefined;
  const client = new FlotillaClient(options.url ?? stack?.url ?? "");
  const memory = stack && options.scenarios.has(MEMORY) ? new MemoryWatch(stack.processes) : undefined;
  const repetitions: Repetition[] = [];
  try {
    for (const scenario of SCENARIOS.filter(({ number }) => options.scenarios.has(number))) {
      console.log(`\n${scenario.number}  ${scenario.title}`);
      for (let i = 1; i <= options.repeats; i++) {
        const load = await untilQuiet(options.patienceSeconds);
        const figures = await scenario.run(client);
        repetitions.push({ scenario: scenario.number, load, figures });
        console.log(
          `   ${figures.map(({ name, value, unit }) => `${name} ${rounded(value)} ${unit}`).join("; ")}  (${describeLoad(load)})`,
        );
      }
    }
    if (memory) repetitions.push({ scenario: MEMORY, load: await untilQuiet(0), figures: memory.figures() });
  } finally {
    await client.close();
    await stack?.stop();
  }
  report(options, repetitions);
}

function report(options: BenchArguments, repetitions: Repetition[]): void {
  const numbers = [...new Set(repetitions.map(({ scenario }) => scenario))].toSorted((a, b) => a - b);
  const summaries: Summary[] = numbers.flatMap((number) =>
    summarise(
      number,
      repetitions.filter(({ scenario }) => scenario === number).map(({ figures }) => figures),
    ),
  );
  const machine = {
    node: process.version,
    processors: cpus().length,
    model: cpus()[0]?.model ?? "",
    commit: describeCommit(),
  };
  const where = options.url ?? `1 gateway, ${options.workers} workers with ${options.jobsPerWorker} runs each`;
  console.log(
    `\n${new Date().toISOString()}  commit ${machine.commit}  Node ${machine.node}  ${machine.processors} × ${machine.model}`,
  );
  console.log(`${where}; ${options.repeats} repetitions; ${describeLoads(repetitions)}\n`);
  console.log(renderTable(summaries));
  if (options.json !== undefined) {
    writeFileSync(
      options.json,
      JSON.stringify(
        { at: new Date().toISOString(), machine, options: { ...options, scenarios: numbers }, summaries, repetitions },
        null,
        2,
      ),
    );
  }
}

function describeLoad({ load1, busy }: MachineLoad): string {
  return `load ${load1.toFixed(2)}, ${Math.round(busy * 100)} % busy before`;
}

function describeLoads(repetitions: Repetition[]): string {
  const most = (of: (load: MachineLoad) => number): number => Math.max(...repetitions.map(({ load }) => of(load)));
  return `before a repetition: load at most ${most(({ load1 }) => load1).toFixed(2)}, at most ${Math.round(most(({ busy }) => busy) * 100)} % busy`;
}
