import { Worker } from "bullmq";
import { QUEUE_NAME, type RunJob } from "@flotilla/shared/queue/run-queue";
import type { Redis } from "@flotilla/shared/redis/connection";
import type { Logger } from "@flotilla/shared/process/logger";

export interface RunConsumerOptions {
  redis: Redis;
  prefix: string;
  concurrency: number;
  logger: Logger;
  execute(runId: string): Promise<void>;
  /** A job whose worker is gone or late was put back. */
  onStalled(): void;
}

/**
 * Takes jobs off the queue and executes their runs. The job's own lock is only a wake-up: losing it puts the job back, and
 * the claim refuses the duplicate. BullMQ never decides on a retry.
 */
export class RunConsumer {
  readonly #worker: Worker<RunJob>;
  readonly #inProgress = new Set<Promise<void>>();

  constructor({ redis, prefix, concurrency, logger, execute, onStalled }: RunConsumerOptions) {
    this.#worker = new Worker<RunJob>(
      QUEUE_NAME,
      async (job) => {
        const work = execute(job.data.run_id).catch((error: unknown) => {
          logger.error({ err: error, run_id: job.data.run_id }, "an attempt ended unexpectedly");
        });
        this.#inProgress.add(work);
        await work.finally(() => this.#inProgress.delete(work));
      },
      {
        connection: redis,
        prefix,
        concurrency,
        lockDuration: 10_000,
        stalledInterval: 5_000,
        maxStalledCount: 1_000_000,
        removeOnComplete: { count: 0 },
        removeOnFail: { count: 0 },
        drainDelay: 5,
        runRetryDelay: 1_000,
        autorun: true,
      },
    );
    this.#worker.on("stalled", onStalled);
    this.#worker.on("error", (error) => logger.debug({ err: error.message }, "queue"));
  }

  /**
   * Stops taking jobs for good; what runs goes on. Resolves when the queue has nothing of this worker under way.
   * A pause without the wait for active jobs would leave BullMQ's blocking read open, and one more job would come of it.
   */
  async stopTaking(): Promise<void> {
    await this.#worker.pause();
  }

  /** Takes no new jobs for a while; what runs goes on. */
  async pause(): Promise<void> {
    await this.#worker.pause(true);
  }

  resume(): void {
    void this.#worker.resume();
  }

  get active(): number {
    return this.#inProgress.size;
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    while (this.#inProgress.size > 0) await Promise.allSettled([...this.#inProgress]);
  }

  async close(): Promise<void> {
    await this.#worker.close(true);
  }
}
