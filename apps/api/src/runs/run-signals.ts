import {
  controlChannel,
  endedChannel,
  streamKey,
  threadChannel,
  wakeChannel,
} from "@flotilla/shared/events/event-keys";
import type { Redis } from "@flotilla/shared/redis/connection";

/** Hints about runs to whoever may want to know. Each may be lost: workers read the row, and tails look at it. */
export class RunSignals {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /** A run was accepted: whoever follows the thread looks at it. */
  accepted(tenantId: string, threadId: string): void {
    this.#publish(threadChannel(this.#prefix, tenantId, threadId), "run");
  }

  /** A cancel was recorded for a running run, or has ended a pending one. */
  cancelled(runId: string, was: "pending" | "running"): void {
    if (was === "running") this.#publish(controlChannel(this.#prefix), `cancel ${runId}`);
    else {
      this.#publish(wakeChannel(this.#prefix, runId), "end");
      this.#publish(endedChannel(this.#prefix), runId);
    }
  }

  /** Whether any gateway has a client that follows the run's events; unknown counts as yes. */
  async isFollowed(runId: string): Promise<boolean> {
    try {
      const [, followers] = (await this.#redis.pubsub("NUMSUB", wakeChannel(this.#prefix, runId))) as [string, number];
      return Number(followers) > 0;
    } catch {
      return true;
    }
  }

  /** What a run left in Redis goes with its thread. */
  async forget(runIds: readonly string[]): Promise<void> {
    if (runIds.length === 0 || this.#redis.status !== "ready") return;
    const pipeline = this.#redis.pipeline();
    for (const runId of runIds) {
      pipeline.unlink(streamKey(this.#prefix, runId));
      pipeline.publish(wakeChannel(this.#prefix, runId), "end").publish(endedChannel(this.#prefix), runId);
    }
    await pipeline.exec().catch(() => null); // the streams expire by themselves
  }

  #publish(channel: string, message: string): void {
    if (this.#redis.status === "ready") this.#redis.publish(channel, message).catch(() => {});
  }
}
