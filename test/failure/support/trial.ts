import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { Pool } from "pg";
import { pino } from "pino";
import type { StateSnapshot } from "@langchain/langgraph";
import { closingEvents, hasEnd, writeMissingEnd } from "@flotilla/shared/events/missing-end";
import { streamKey } from "@flotilla/shared/events/event-keys";
import type { CompiledGraph } from "@flotilla/shared/graphs/graph-registry";
import { ThreadSaver } from "@flotilla/shared/graphs/checkpoints/thread-saver";
import { RunQueue } from "@flotilla/shared/queue/run-queue";
import { redispatchRun } from "@flotilla/shared/runs/fleet-queries";
import { settleRun, type NewRun } from "@flotilla/shared/runs/run-queries";
import type { Dispatch, Durability } from "@flotilla/shared/runs/run";
import { eventually } from "../../support/wait.ts";
import * as graphs from "../scenarios/graphs.ts";
import type { Asked, Scenario, ThreadView } from "../scenarios/scenarios.ts";
import type { CampaignWorker } from "./campaign-worker.ts";
import { acceptRun, newRun } from "./runs.ts";
import { expectNoSilentHole, expectWholeStream, readStream, type EventMark } from "./stream.ts";
import { copyThread } from "./threads.ts";

const GRAPHS: Record<string, unknown> = {
  abc: graphs.abc,
  fails: graphs.fails,
  fails_late: graphs.failsLate,
  questions: graphs.questions,
  two_in_one: graphs.twoInOne,
  side_by_side: graphs.sideBySide,
  one_asks_late: graphs.oneAsksLate,
  nested: graphs.nested,
  sends: graphs.sends,
  jumps: graphs.jumps,
};

/** Everything about a run's end that must not depend on who died on the way. */
export interface Outcome {
  run: { status: string; error: unknown };
  /** The thread's row; of its interrupts the questions, since task ids differ. */
  thread: { status: string; values: unknown; interrupts: unknown[] };
  values: unknown;
  next: string[];
  /** Those that are open. */
  questions: string[];
  /** Sources and steps of the root checkpoints, in the order of storage. */
  chain: string;
}

/** One run of a scenario on a thread of its own. */
export class Trial {
  readonly #pool: Pool;
  readonly #redis: Redis;
  readonly #graph: string;
  readonly threadId: string;
  readonly runId = randomUUID();
  #dispatch: Dispatch | null = null;
  #prefix: string | undefined;

  constructor(pool: Pool, redis: Redis, graph: string, threadId: string = randomUUID()) {
    this.#pool = pool;
    this.#redis = redis;
    this.#graph = graph;
    this.threadId = threadId;
  }

  /** A trial on a copy of a prepared thread. */
  static async on(prepared: PreparedScenario, pool: Pool, redis: Redis, durability: Durability): Promise<Trial> {
    const trial = new Trial(pool, redis, prepared.scenario.graph);
    if (prepared.threadId !== undefined) await copyThread(pool, prepared.threadId, trial.threadId);
    await trial.accept(prepared.asked, durability);
    return trial;
  }

  async accept(asked: Asked, durability: Durability): Promise<void> {
    const run = newRun(
      {
        threadId: this.threadId,
        runId: this.runId,
        graphId: this.#graph,
        resume: durability === "async" ? fixed(asked) : undefined,
      },
      { ...asked, durability, stream_mode: ["values"], listening: "events" },
    );
    ({ dispatch: this.#dispatch } = await acceptRun(this.#pool, run));
  }

  /** Gives the run to a worker, with what its stream holds: each worker of a campaign has a queue and a prefix of its own. */
  async giveTo(worker: CampaignWorker): Promise<void> {
    if (this.#prefix !== undefined) {
      const [from, to] = [streamKey(this.#prefix, this.runId), streamKey(worker.prefix, this.runId)];
      if ((await this.#redis.exists(from)) === 1) await this.#redis.rename(from, to);
    }
    this.#prefix = worker.prefix;
    const queue = new RunQueue({
      redis: this.#redis,
      prefix: worker.prefix,
      logger: pino({ level: "silent" }),
      capMs: 5_000,
    });
    if (!(await queue.enqueue(this.#dispatch))) throw new Error("not enqueued");
    await queue.close();
  }

  async row(): Promise<{ status: string; attempt: number; error: unknown }> {
    const { rows } = await this.#pool.query<{ status: string; attempt: number; error: unknown }>(
      "select status, attempt, error from runs where run_id = $1",
      [this.runId],
    );
    return rows[0] ?? { status: "gone", attempt: 0, error: null };
  }

  async isOver(): Promise<boolean> {
    const { status } = await this.row();
    return status !== "pending" && status !== "running";
  }

  /** What a gateway does about a run whose worker is dead. Its lease need not run out in real time. */
  async rescue(): Promise<void> {
    const { status, attempt } = await this.row();
    if (status === "running") {
      await this.#pool.query(
        "update runs set lease_expires_at = clock_timestamp() - interval '1 s' where run_id = $1",
        [this.runId],
      );
      await settleRun(this.#pool, this.runId, attempt, { outcome: "lost" });
    }
    await this.#pool.query(
      "update runs set retry_at = clock_timestamp() where run_id = $1 and status = 'pending' and retry_at is not null",
      [this.runId],
    );
    this.#dispatch = await redispatchRun(this.#pool, this.runId);
  }

  /**
   * The `end`, if nobody who could write it is alive any more: a gateway does so too.
   * @param writerDied the death of the worker that had the run last.
   */
  async supplyEnd(writerDied: Promise<unknown>): Promise<void> {
    const prefix = this.#prefix as string;
    const stopped = new AbortController();
    await Promise.race([
      writerDied,
      eventually(() => stopped.signal.aborted || hasEnd(this.#redis, prefix, this.runId), {
        everyMs: 5,
        what: "the end of the stream",
      }),
    ]).finally(() => stopped.abort());
    const { status, attempt, error } = await this.row();
    const facts = {
      runId: this.runId,
      attempt,
      status,
      values: "{}",
      error: error === null ? null : JSON.stringify(error),
    };
    await writeMissingEnd(this.#redis, prefix, this.runId, closingEvents(facts));
  }

  /** Strictly increasing ids, one end, and no hole that is not announced. */
  async checkStream(): Promise<void> {
    const events = await readStream(this.#redis, this.#prefix as string, this.runId);
    expectWholeStream(events);
    const { rows: marks } = await this.#pool.query<EventMark>(
      `select (metadata ->> 'attempt')::int as attempt, max(events)::int as events from checkpoints
        where thread_id = $1 and run_id = $2 group by 1`,
      [this.threadId, this.runId],
    );
    expectNoSilentHole(events, marks);
  }

  async outcome(): Promise<Outcome> {
    const { status, error } = await this.row();
    const { rows } = await this.#pool.query<Outcome["thread"] & { chain: string }>(
      `select t.status, t."values",
              (select coalesce(jsonb_agg(q -> 'value' order by q -> 'value'), '[]')
                 from jsonb_each(t.interrupts) e, jsonb_array_elements(e.value) q) as interrupts,
              (select string_agg((metadata ->> 'source') || (metadata ->> 'step'), ' ' order by seq)
                 from checkpoints c where c.thread_id = t.thread_id and checkpoint_ns = '') as chain
         from threads t where t.thread_id = $1`,
      [this.threadId],
    );
    const { chain, ...thread } = rows[0] as Outcome["thread"] & { chain: string };
    const state = await this.#state();
    return {
      run: { status, error },
      thread,
      values: state.values,
      next: [...state.next].sort(),
      questions: state.tasks
        .filter((task) => task.result === undefined)
        .flatMap((task) => task.interrupts.map((one) => String(one.value)))
        .sort(),
      chain,
    };
  }

  async view(): Promise<ThreadView> {
    const history: StateSnapshot[] = [];
    for await (const state of this.#bound().getStateHistory({ configurable: { thread_id: this.threadId } }))
      history.push(state);
    const waiting = (await this.#state()).tasks.flatMap((task) => task.interrupts);
    return { history, questions: Object.fromEntries(waiting.map((one) => [String(one.value), one.id as string])) };
  }

  #state(): Promise<StateSnapshot> {
    return this.#bound().getState({ configurable: { thread_id: this.threadId } });
  }

  #bound(): CompiledGraph {
    return Object.create(GRAPHS[this.#graph] as CompiledGraph, {
      checkpointer: { value: new ThreadSaver(this.#pool, "default"), writable: true },
    }) as CompiledGraph;
  }
}

/**
 * How the small dialect accepts an answer: checked at submission, and kept on the run from then on. An answer on an older
 * checkpoint, or to a thread on which no question waits, comes another way.
 */
function fixed({ command, checkpoint_id }: Asked): NewRun["resume"] {
  if (command === undefined || !("resume" in command) || checkpoint_id !== undefined) return undefined;
  const { resume } = command;
  const isMap = typeof resume === "object" && resume !== null;
  return isMap ? { kind: "map", answers: resume as Record<string, unknown> } : { kind: "only", answer: resume };
}

/** A scenario whose thread is made, to be copied for each trial. */
export interface PreparedScenario {
  scenario: Scenario;
  threadId: string | undefined;
  asked: Asked;
}

/** Makes a scenario's thread with real runs on `worker`. */
export async function prepare(
  scenario: Scenario,
  pool: Pool,
  redis: Redis,
  worker: CampaignWorker,
): Promise<PreparedScenario> {
  const { before = [] } = scenario;
  if (before.length === 0)
    return { scenario, threadId: undefined, asked: scenario.run({ questions: {}, history: [] }) };
  const threadId = randomUUID();
  for (const ask of before) {
    const trial = new Trial(pool, redis, scenario.graph, threadId);
    await trial.accept(ask(await trial.view()), "sync");
    await trial.giveTo(worker);
    await eventually(() => trial.isOver(), { everyMs: 5, what: `a run before "${scenario.name}"` });
    const { status, error } = await trial.row();
    if (status !== "success")
      throw new Error(`a run before "${scenario.name}" ended as ${status}: ${JSON.stringify(error)}`);
  }
  return { scenario, threadId, asked: scenario.run(await new Trial(pool, redis, scenario.graph, threadId).view()) };
}
