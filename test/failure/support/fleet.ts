import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Redis } from "ioredis";
import type { Pool } from "pg";
import { pino } from "pino";
import { afterAll } from "vitest";
import type { RunEvent } from "@flotilla/shared/events/event-batch";
import { hasEnd } from "@flotilla/shared/events/missing-end";
import { RunQueue } from "@flotilla/shared/queue/run-queue";
import type { NewRun } from "@flotilla/shared/runs/run-queries";
import type { RunKwargs } from "@flotilla/shared/runs/run";
import { createTestDatabase, type TestDatabase } from "../../support/database.ts";
import { connectTestRedis } from "../../support/redis.ts";
import { Stack } from "../../support/stack.ts";
import { eventually } from "../../support/wait.ts";
import { readEffects, type Effect } from "./effects.ts";
import { Rescuer } from "./rescuer.ts";
import { acceptRun, newRun } from "./runs.ts";
import { readStream } from "./stream.ts";

const CONFIG = fileURLToPath(new URL("../graphs/langgraph.json", import.meta.url));

const cleanups: (() => Promise<void>)[] = [];

// Before the hook of database.ts, which was imported earlier: nothing may use a database that is gone.
afterAll(async () => {
  await Promise.all(cleanups.map((cleanup) => cleanup()));
});

export interface RunRow {
  status: string;
  attempt: number;
  holder: string | null;
  error: { error: string; message: string } | null;
  losses: number;
  solo: boolean;
  story: { attempt: number; ended: string; reason: string | null }[];
}

/** Workers over a database and a queue of their own, with runs submitted and rescued by the test in place of a gateway. */
export class Fleet {
  readonly pool: Pool;
  readonly redis: Redis;
  readonly stack: Stack;
  readonly databaseUrl: string;
  readonly queue: RunQueue;
  readonly #effectsLog: string;

  private constructor({ pool, url }: TestDatabase, redis: Redis, stack: Stack, effectsLog: string) {
    this.pool = pool;
    this.databaseUrl = url;
    this.redis = redis;
    this.stack = stack;
    this.queue = new RunQueue({ redis, prefix: stack.prefix, logger: pino({ level: "silent" }), capMs: 2_000 });
    this.#effectsLog = effectsLog;
  }

  /** Ends with the test file. Leases last two seconds, so that a dead worker's runs go on soon. */
  static async start(env: Record<string, string> = {}, config = CONFIG): Promise<Fleet> {
    const database = await createTestDatabase();
    const folder = mkdtempSync(join(tmpdir(), "flotilla-failure-"));
    const effectsLog = join(folder, "effects.jsonl");
    const stack = new Stack({
      databaseUrl: database.url,
      config,
      env: { LEASE_SECS: "2", LOG_LEVEL: "info", EFFECTS_LOG: effectsLog, ...env },
    });
    const redis = connectTestRedis();
    const fleet = new Fleet(database, redis, stack, effectsLog);
    const rescuer = new Rescuer(database.pool, fleet.queue);
    cleanups.push(async () => {
      await rescuer.stop();
      await stack.stop();
      await fleet.queue.close();
      await redis.quit();
      rmSync(folder, { recursive: true, force: true });
    });
    await eventually(() => redis.status === "ready");
    return fleet;
  }

  /** Accepts a run and puts it on the queue. */
  async submit(overrides: Partial<NewRun> = {}, kwargs: Partial<RunKwargs> = {}): Promise<NewRun> {
    const { run, dispatch } = await acceptRun(this.pool, newRun(overrides, kwargs));
    await this.queue.enqueue(dispatch);
    return run;
  }

  async row(runId: string): Promise<RunRow> {
    const { rows } = await this.pool.query<RunRow>(
      "select status, attempt, holder, error, losses, solo, story from runs where run_id = $1",
      [runId],
    );
    if (rows[0] === undefined) throw new Error(`run ${runId} is gone`);
    return rows[0];
  }

  /** Waits for the end of a run, whatever it is. */
  ended(runId: string, timeoutMs = 30_000): Promise<RunRow> {
    return eventually(
      async () => {
        const row = await this.row(runId);
        return row.status !== "pending" && row.status !== "running" && row;
      },
      { timeoutMs, what: `the end of run ${runId}` },
    );
  }

  effects(runId?: string): Effect[] {
    return readEffects(this.#effectsLog, runId);
  }

  /** The pid that began a step of a run first. */
  stepBegun(runId: string, step: number): Promise<number> {
    const begun = () => this.effects(runId).find((effect) => effect.step === step)?.pid;
    return eventually(begun, { everyMs: 3, timeoutMs: 20_000, what: `step ${step} of run ${runId}` });
  }

  /** The whole stream of a run that has ended: its `end` comes a moment after its settlement. */
  async events(runId: string): Promise<RunEvent[]> {
    const { prefix } = this.stack;
    await eventually(() => hasEnd(this.redis, prefix, runId), {
      everyMs: 5,
      what: `the end of the stream of run ${runId}`,
    });
    return readStream(this.redis, prefix, runId);
  }

  async threadValues(threadId: string): Promise<unknown> {
    const { rows } = await this.pool.query<{ values: unknown }>(`select "values" from threads where thread_id = $1`, [
      threadId,
    ]);
    return rows[0]?.values;
  }

  /** Sources and steps of the root checkpoints of a thread, in the order of storage: "input-1 loop0 loop1". */
  async chain(threadId: string): Promise<string> {
    const { rows } = await this.pool.query<{ chain: string | null }>(
      `select string_agg((metadata ->> 'source') || (metadata ->> 'step'), ' ' order by seq) as chain
         from checkpoints where thread_id = $1 and checkpoint_ns = ''`,
      [threadId],
    );
    return rows[0]?.chain ?? "";
  }
}
