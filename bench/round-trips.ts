import { setTimeout as delay } from "node:timers/promises";
import { FlotillaClient } from "./client/flotilla-client.ts";
import { inParallel } from "./client/in-parallel.ts";
import { renderColumns } from "./report/table.ts";
import { processorMs } from "./round-trips/processor-time.ts";
import { countCommands, type CommandCount } from "./round-trips/redis-commands.ts";
import { StatementLog, type StatementCount } from "./round-trips/statement-log.ts";
import { expect } from "./scenarios/scenario.ts";
import { startPrivateStack, type PrivateStack } from "./stack/private-stack.ts";

// What one run of a graph costs: statements in Postgres, commands to Redis, processor time. An entry of its own:
// node --import tsx bench/round-trips.ts [graph]

const RUNS = 300;
const CLIENTS = 32;
const WARM_UP = 200;
const IDLE_SECONDS = 15;

const graph = process.argv[2] ?? "chain5";
const stack = await startPrivateStack({ workers: 2, jobsPerWorker: 100 });
const client = new FlotillaClient(stack.url);
try {
  await execute(WARM_UP, CLIENTS);
  await reportStatements(stack);
  await reportCommands(stack);
  await reportProcessorTime(stack);
} finally {
  await client.close();
  await stack.stop();
}

async function execute(runs: number, clients: number): Promise<void> {
  await inParallel(runs, clients, async () => {
    const answer = await client.invoke(graph, graph === "tokens" ? {} : { count: 0 });
    expect(answer.status === "success", "the run ends with success", answer);
  });
}

async function reportStatements({ databaseUrl, postgresLog }: PrivateStack): Promise<void> {
  const log = new StatementLog(databaseUrl, postgresLog);
  const idle = await log.during(() => delay(IDLE_SECONDS * 1000));
  const alone = await log.during(() => execute(RUNS, 1));
  const together = await log.during(() => execute(RUNS, CLIENTS));
  const find = (list: StatementCount[], { process, statement }: StatementCount): StatementCount | undefined =>
    list.find((one) => one.process === process && one.statement === statement);
  const all = [...alone, ...together.filter((one) => !find(alone, one))];
  const rows = all.map((one) => {
    const [single, many, background] = [find(alone, one), find(together, one), find(idle, one)];
    return [
      `${one.process}: ${one.statement}`,
      perRun(single?.count),
      perRun(many?.count),
      single ? (single.totalMs / single.count).toFixed(2) : "",
      many ? (many.totalMs / many.count).toFixed(2) : "",
      background ? (background.count / IDLE_SECONDS).toFixed(2) : "",
    ];
  });
  const sum = (list: StatementCount[]): string => perRun(list.reduce((total, { count }) => total + count, 0));
  const head = [
    "Postgres: statements",
    "a run, 1 client",
    `a run, ${CLIENTS} clients`,
    "ms each, 1",
    `ms each, ${CLIENTS}`,
    "a second at rest",
  ];
  console.log(`\n${renderColumns([head, ...rows, ["all", sum(alone), sum(together)]])}`);
}

async function reportCommands({ redisUrl }: PrivateStack): Promise<void> {
  const idle = await countCommands(redisUrl, () => delay(IDLE_SECONDS * 1000));
  const alone = await countCommands(redisUrl, () => execute(RUNS, 1));
  const together = await countCommands(redisUrl, () => execute(RUNS, CLIENTS));
  const find = (list: CommandCount[], command: string): number | undefined =>
    list.find((one) => one.command === command)?.count;
  const names = new Set([...alone, ...together].map(({ command }) => command));
  const rows = [...names].map((name) => {
    const background = find(idle, name);
    return [
      name,
      perRun(find(alone, name)),
      perRun(find(together, name)),
      background ? (background / IDLE_SECONDS).toFixed(2) : "",
    ];
  });
  const sum = (list: CommandCount[]): string => perRun(list.reduce((total, { count }) => total + count, 0));
  const head = ["Redis: commands", "a run, 1 client", `a run, ${CLIENTS} clients`, "a second at rest"];
  console.log(`\n${renderColumns([head, ...rows, ["all", sum(alone), sum(together)]])}`);
}

/** Processor time says what a run costs also on a machine that does other things meanwhile. */
async function reportProcessorTime({ processes, postgresPid, redisPid }: PrivateStack): Promise<void> {
  const parts = [
    ...processes,
    { name: "Postgres", pid: postgresPid },
    { name: "Redis", pid: redisPid },
    { name: "this client", pid: undefined },
  ];
  const times = (): number[] =>
    parts.map(({ pid }) =>
      pid === undefined ? process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000 : processorMs(pid),
    );
  const spent = async (runs: number, clients: number): Promise<number[]> => {
    const before = times();
    await execute(runs, clients);
    return times().map((time, i) => (time - (before[i] ?? 0)) / runs);
  };
  const alone = await spent(RUNS, 1);
  const together = await spent(RUNS * 4, CLIENTS);
  const ms = (value: number | undefined): string => (value ?? NaN).toFixed(2);
  const rows = parts.map(({ name }, i) => [name, ms(alone[i]), ms(together[i])]);
  const sum = (list: number[]): string => ms(list.reduce((total, one) => total + one, 0));
  const head = ["Processor time of a run in ms", "1 client", `${CLIENTS} clients`];
  console.log(`\n${renderColumns([head, ...rows, ["all", sum(alone), sum(together)]])}`);
}

function perRun(count: number | undefined): string {
  return count === undefined ? "" : (count / RUNS).toFixed(2);
}
