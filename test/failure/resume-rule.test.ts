import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Pool } from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Durability } from "@flotilla/shared/runs/run";
import { createTestDatabase } from "../support/database.ts";
import { connectTestRedis } from "../support/redis.ts";
import { eventually } from "../support/wait.ts";
import { scenarios, type Scenario } from "./scenarios/scenarios.ts";
import { countCheckpointWrites, startCampaignWorker, type CampaignWorker } from "./support/campaign-worker.ts";
import { seededRandom, shuffle, testSeed } from "./support/random.ts";
import { prepare, Trial, type Outcome, type PreparedScenario } from "./support/trial.ts";

// The resume rule (DESIGN.md section 6) at every write: each scenario is run undisturbed once, and then again and again with
// a worker that dies by SIGKILL before or after one of its writes, and sometimes its successor as well. Whoever finishes the
// run, the outcome is that of the undisturbed run.
//
//   FLOTILLA_FAILPOINTS_ALL=1   every point, alone and with a second death on top, instead of a sample: hours
//   FLOTILLA_SEED=n             another sample
//   FLOTILLA_SCENARIO=regex     only these scenarios, every point

const DURABILITIES: Durability[] = ["sync", "async", "exit"];
const LANES = 2;
/** A death after the settlement of its run is counted if it comes within this time, in ms. */
const DEATH_MS = 250;
/** Pairs of deaths, without FLOTILLA_FAILPOINTS_ALL. */
const PAIRS = 24;
/** Of the deaths that are planned, so many happen at least: the way through a run is not the same each time. */
const LEAST_DEATHS = 0.8;

const everyPoint = process.env["FLOTILLA_FAILPOINTS_ALL"] === "1" || process.env["FLOTILLA_SCENARIO"] !== undefined;
const chosen = scenarios.filter((scenario) => new RegExp(process.env["FLOTILLA_SCENARIO"] ?? "").test(scenario.name));
const seed = testSeed();
const random = seededRandom(seed);

/** Where a worker dies, by a failpoint; or where it is told to go, and perhaps dies while it hands the run over. */
type Death = { failpoints: string; sigtermAt?: undefined } | { sigtermAt: string; failpoints?: string };

interface Reference {
  prepared: PreparedScenario;
  durability: Durability;
  outcome: Outcome;
  deaths: Death[];
}
interface Case extends Reference {
  planned: Death[];
}

let pool: Pool;
let databaseUrl: string;
let redis: Redis;
let survivors: CampaignWorker[];
beforeAll(async () => {
  ({ pool, url: databaseUrl } = await createTestDatabase());
  redis = connectTestRedis();
  survivors = await Promise.all(Array.from({ length: LANES }, () => startCampaignWorker(databaseUrl)));
});
afterAll(() => redis.quit());

test.each(chosen.filter((scenario) => scenario.refused !== undefined))(
  "$name: refused when it is claimed",
  async (scenario) => {
    const prepared = await prepare(scenario, pool, redis, survivors[0] as CampaignWorker);
    const { run } = await undisturbed(prepared, "sync", survivors[0] as CampaignWorker);
    expect(run).toMatchObject({ status: "error", error: { error: scenario.refused } });
  },
);

test(
  "whoever dies at whichever write, the outcome is that of the undisturbed run",
  { timeout: 4 * 3_600_000 },
  async () => {
    const references = await inLanes(
      chosen.filter((scenario) => scenario.refused === undefined),
      async (scenario, survivor) => refer(scenario, survivor),
    ).then((lists) => lists.flat());
    const cases = shuffle(random, everyPoint ? references.flatMap(everyCase) : sample(references));

    const ahead = new Map<Case, Promise<CampaignWorker[]>>();
    const victimsOf = (one: Case): Promise<CampaignWorker[]> => {
      const started =
        ahead.get(one) ?? Promise.all(one.planned.map((death) => startCampaignWorker(databaseUrl, death)));
      ahead.set(one, started);
      return started;
    };
    const planned = cases.reduce((sum, one) => sum + one.planned.length, 0);
    const died = new Map(cases.flatMap((one) => one.planned.map((death) => [kindOf(death), 0])));
    let [deaths, tried] = [0, 0];
    const onDeath = (death: Death) => {
      deaths++;
      died.set(kindOf(death), (died.get(kindOf(death)) ?? 0) + 1);
    };
    const failures: string[] = [];
    await inLanes(cases, async (one, survivor, upcoming) => {
      const victims = await victimsOf(one);
      if (upcoming !== undefined) void victimsOf(upcoming); // starts while this case runs
      const problem = await tryCase(one, victims, survivor, onDeath).catch((error: unknown) => String(error));
      ahead.delete(one);
      if (problem !== undefined) failures.push(problem);
      if (problem !== undefined || ++tried % 200 === 0) console.log(problem ?? `${tried} cases of ${cases.length}`);
    });
    console.log(
      `${references.length} references, ${cases.length} cases, ${deaths} deaths, ${failures.length} failures, seed ${seed}`,
    );
    expect(failures).toEqual([]);
    // Every kind of death happened: a failpoint that nobody reaches proves nothing.
    expect([...died].filter(([, times]) => times === 0).map(([kind]) => kind)).toEqual([]);
    expect(deaths).toBeGreaterThan(planned * LEAST_DEATHS * 0.9);
  },
);

/** A death without its number: `after_checkpoint`, or `sigterm, before_settle`. */
function kindOf({ failpoints, sigtermAt }: Death): string {
  return [sigtermAt && "sigterm", failpoints?.replace(/:\d+$/, "")].filter(Boolean).join(", ");
}

/** A scenario's undisturbed runs, and where its workers may die. */
async function refer(scenario: Scenario, survivor: CampaignWorker): Promise<Reference[]> {
  const prepared = await prepare(scenario, pool, redis, survivor);
  const references: Reference[] = [];
  for (const durability of DURABILITIES) {
    const before = await countCheckpointWrites(survivor);
    const outcome = await undisturbed(prepared, durability, survivor);
    const writes = (await countCheckpointWrites(survivor)) - before;
    const { run, thread, values, next, questions } = outcome;
    // What clients read in the rows is what the graph's state says.
    const waits = next.length > 0 || questions.length > 0 ? "interrupted" : "idle";
    const failed = scenario.fails === undefined ? null : { error: scenario.fails, message: "this node fails" };
    expect({ run, thread }, scenario.name).toEqual({
      run: { status: failed === null ? "success" : "error", error: failed },
      thread: { status: failed === null ? waits : "error", values, interrupts: questions },
    });
    references.push({ prepared, durability, outcome, deaths: deathsOf(prepared, durability, writes) });
  }
  return references;
}

function deathsOf({ scenario, asked }: PreparedScenario, durability: Durability, checkpointWrites: number): Death[] {
  const once = [
    "claim",
    "events",
    "settle",
    "end",
    // With `async` the answers are fixed at submission, but for those on an older checkpoint.
    ...(asked.command !== undefined &&
    "resume" in asked.command &&
    (durability !== "async" || asked.checkpoint_id !== undefined)
      ? ["answers"]
      : []),
  ];
  const counted = Array.from({ length: checkpointWrites }, (_, i) => `checkpoint:${i + 1}`);
  const failpoints = [...once, ...counted].flatMap((write) => [
    { failpoints: `before_${write}` },
    { failpoints: `after_${write}` },
  ]);
  failpoints.push({ failpoints: "before_release" });
  const { sigtermAt } = scenario;
  if (sigtermAt === undefined) return failpoints;
  const whileHandingOver = ["before_settle", "before_release", "after_settle"].map((at) => ({
    sigtermAt,
    failpoints: at,
  }));
  return [...failpoints, { sigtermAt }, ...whileHandingOver];
}

/** Each death alone, and each with another on top that the next worker can come to. */
function everyCase(reference: Reference): Case[] {
  const planned = [
    ...reference.deaths.map((death) => [death]),
    ...reference.deaths.flatMap((death) => pairOf(reference, death)),
  ];
  return planned.map((deaths) => ({ ...reference, planned: deaths }));
}

/** One death for each scenario and durability, and pairs of some. */
function sample(references: Reference[]): Case[] {
  const single = references.map((reference) => ({ ...reference, planned: [pick(reference.deaths)] }));
  const pairs = references.flatMap((reference) =>
    pairOf(reference, pick(reference.deaths)).map((planned) => ({ ...reference, planned })),
  );
  return [...single, ...shuffle(random, pairs).slice(0, PAIRS)];
}

/** A death and one of the next worker. None when the run is over with the first; the next worker has fewer checkpoints to write. */
function pairOf({ deaths }: Reference, first: Death): [Death, Death][] {
  if (OVER.has(first.failpoints ?? "")) return [];
  const left = Math.max(...deaths.map(checkpointOf)) - checkpointOf(first);
  const second = pick(deaths.filter((death) => checkpointOf(death) <= Math.max(1, left)));
  return [[first, second]];
}

/** Places at which a run is settled. */
const OVER = new Set(["after_settle", "before_end", "after_end", "before_release"]);

/** The number of the checkpoint at which a worker dies, from 1; 0 for all other deaths. */
function checkpointOf({ failpoints }: Death): number {
  return Number(/_checkpoint:(\d+)$/.exec(failpoints ?? "")?.[1] ?? 0);
}

function pick<T>(items: T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}

async function undisturbed(
  prepared: PreparedScenario,
  durability: Durability,
  survivor: CampaignWorker,
): Promise<Outcome> {
  const trial = await Trial.on(prepared, pool, redis, durability);
  await trial.giveTo(survivor);
  await eventually(() => trial.isOver(), { everyMs: 5, what: "the end of the undisturbed run" });
  await trial.supplyEnd(survivor.exited);
  await trial.checkStream();
  return trial.outcome();
}

/** Runs a case; returns what is wrong with its outcome. */
async function tryCase(
  one: Case,
  victims: CampaignWorker[],
  survivor: CampaignWorker,
  onDeath: (death: Death) => void,
): Promise<string | undefined> {
  const { prepared, durability, planned } = one;
  const title = `${prepared.scenario.name} [${durability}] ${planned.map((death) => Object.values(death).join()).join(" > ")}`;
  const trial = await Trial.on(prepared, pool, redis, durability);
  let worker = survivor;
  for (worker of [...victims, survivor]) {
    await trial.giveTo(worker);
    const died = await diesBeforeTheEnd(trial, worker, worker === survivor ? 0 : DEATH_MS);
    const death = planned[victims.indexOf(worker)];
    if (died && death !== undefined) onDeath(death);
    if (await trial.isOver()) break;
    await trial.rescue();
  }
  try {
    await trial.supplyEnd(worker.exited);
    await trial.checkStream();
    const outcome = await trial.outcome();
    const [seen, wanted] = [comparable(outcome, one), comparable(one.outcome, one)];
    return seen === wanted ? undefined : `${title}\n  seen   ${seen}\n  wanted ${wanted}\n${worker.output()}`;
  } catch (error) {
    return `${title}\n  ${String(error)}`;
  } finally {
    await Promise.all(victims.map((victim) => victim.kill()));
  }
}

/** Waits for a worker's death, or for the end of the run if it lives: the way through a run is not the same each time. */
async function diesBeforeTheEnd(trial: Trial, worker: CampaignWorker, graceMs: number): Promise<boolean> {
  const death = worker.exited.then(() => true);
  const over = eventually(() => trial.isOver(), { everyMs: 8, timeoutMs: 30_000, what: "the end of the run" });
  const died = await Promise.race([death, over.then(() => false)]);
  over.catch(() => {});
  return died || Promise.race([death, delay(graceMs, false)]);
}

/**
 * Two chains may differ from the undisturbed one, with the same state after each step. A hand-over with durability `exit`
 * stores a checkpoint more. A command on an old checkpoint that has got as far as its `fork` goes on from there: LangGraph
 * then takes the update from the stored writes and spares its `input` checkpoint.
 */
function comparable(outcome: Outcome, { prepared: { asked }, durability, planned }: Case): string {
  const handedOver = durability === "exit" && planned.some((death) => "sigtermAt" in death);
  const forks = asked.command !== undefined && asked.checkpoint_id !== undefined;
  return JSON.stringify(handedOver || forks ? { ...outcome, chain: undefined } : outcome);
}

/** Works off a list in lanes, each with a survivor of its own. `work` is told what its lane will probably do next. */
async function inLanes<T, R>(
  items: T[],
  work: (item: T, survivor: CampaignWorker, upcoming: T | undefined) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  await Promise.all(
    survivors.map(async (survivor) => {
      while (next < items.length) {
        const i = next++;
        results[i] = await work(items[i] as T, survivor, items[i + LANES]);
      }
    }),
  );
  return results;
}
