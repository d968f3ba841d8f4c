import { Queue } from "bullmq";
import type { Redis } from "../redis/connection.ts";
import type { Logger } from "../process/logger.ts";
import type { Dispatch } from "../runs/run.ts";

export const QUEUE_NAME = "runs";

/** All that a job holds. The run's row is the truth; no payload and no secret reaches Redis. */
export interface RunJob {
  run_id: string;
}

export interface RunQueueOptions {
  redis: Redis;
  prefix: string;
  logger: Logger;
  /** How long an enqueue may take before it is given up, in ms. The sweep repeats it. */
  capMs?: number;
}

/**
 * The way to the workers. A job is a hint: losing one costs a sweep, delivering one twice costs a refused claim.
 * Its id is `<run>-<attempt>-<dispatch>`, used once only, because BullMQ swallows an add under a known id.
 */
export class RunQueue {
  readonly #queue: Queue<RunJob>;
  readonly #options: Required<RunQueueOptions>;

  constructor(options: RunQueueOptions) {
    this.#options = { capMs: 250, ...options };
    this.#queue = new Queue<RunJob>(QUEUE_NAME, {
      connection: options.redis,
      prefix: options.prefix,
      skipWaitingForReady: true,
      skipVersionCheck: true, // it would ask before the connection is up and remember the failure for ever
      defaultJobOptions: { attempts: 1, removeOnComplete: true, removeOnFail: true },
    });
    this.#queue.on("error", () => {}); // the connection logs its own failures
  }

  /** Puts a dispatched run on the queue, best effort. Never throws. */
  async enqueue(dispatch: Dispatch | null | undefined): Promise<boolean> {
    if (!dispatch) return true;
    const { redis, capMs, logger } = this.#options;
    if (redis.status !== "ready") return false;
    const added = this.#queue
      .add(
        "run",
        { run_id: dispatch.run_id },
        {
          jobId: `${dispatch.run_id}-${dispatch.attempt}-${dispatch.dispatch}`,
          timestamp: dispatch.dispatched_at, // Postgres time: the sweep compares it
        },
      )
      .then(() => true);
    const gaveUp = new Promise<false>((resolve) => setTimeout(resolve, capMs, false).unref());
    try {
      return await Promise.race([added, gaveUp]);
    } catch (error) {
      logger.warn(
        { err: error instanceof Error ? error.message : String(error), run_id: dispatch.run_id },
        "not enqueued; the sweep will",
      );
      return false;
    } finally {
      added.catch(() => {});
    }
  }

  /**
   * When the job that has waited longest was dispatched, in ms of Postgres time; null when nothing waits.
   * The queue is first in, first out: a run that was dispatched before that and is still pending is not in it.
   */
  async oldestWaiting(): Promise<number | null> {
    const [oldest] = await this.#queue.getJobs(["wait", "prioritized"], 0, 0, true);
    return oldest?.timestamp ?? null;
  }

  /** Jobs by state, for metrics. */
  counts(): Promise<Record<string, number>> {
    return this.#queue.getJobCounts("wait", "active", "delayed", "prioritized");
  }

  /** Whether a marker set by an earlier call is still there: false after Redis was wiped, and on the first call ever. */
  async wasWiped(): Promise<boolean> {
    const { redis, prefix } = this.#options;
    return (await redis.set(`${prefix}:marker`, "1", "NX")) === "OK";
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }
}
