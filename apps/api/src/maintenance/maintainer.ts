import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Stoppable } from "@flotilla/shared/process/lifecycle";
import type { Logger } from "@flotilla/shared/process/logger";
import type { GatewayMetrics } from "../metrics.ts";

/** Something that has to be done from time to time, by one process of the fleet. */
export interface Duty {
  name: string;
  everyMs: number;
  /** Key of its advisory lock. */
  lock: number;
  /** Called on each turn on which Postgres answered, whoever does the duty. */
  onContact?(): void;
  /** May throw: the next turn tries again. One that takes long ends early when this process stops. */
  perform(stopping?: AbortSignal): Promise<void>;
}

/**
 * Runs duties in the gateways, so that they are done also when no worker runs. Each duty has a timer and a lock of its own
 * (`pg_try_advisory_xact_lock`, held for one turn): rescue never waits for another duty, and of several gateways one does it.
 * The pool is the duties' own, with room for each one's lock and queries: requests that wait must not keep them from rescue.
 */
export class Maintainer implements Stoppable {
  readonly #pool: Pool;
  readonly #metrics: GatewayMetrics;
  readonly #logger: Logger;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #failing = new Set<string>();
  readonly #stopping = new AbortController();

  constructor(pool: Pool, metrics: GatewayMetrics, logger: Logger) {
    this.#pool = pool;
    this.#metrics = metrics;
    this.#logger = logger;
  }

  add(duty: Duty): void {
    let busy = false;
    const turn = () => {
      if (busy || this.#stopping.signal.aborted) return;
      busy = true;
      const work = this.#turn(duty).finally(() => {
        busy = false;
        this.#running.delete(work);
      });
      this.#running.add(work);
    };
    this.#timers.push(setInterval(turn, duty.everyMs * (0.9 + Math.random() * 0.2)).unref());
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const timer of this.#timers) clearInterval(timer);
    await Promise.allSettled([...this.#running]);
  }

  async #turn(duty: Duty): Promise<void> {
    try {
      const done = await this.#underLock(duty);
      this.#metrics.dutyTurn(duty.name, done ? "done" : "left");
      if (done && this.#failing.delete(duty.name)) this.#logger.info({ duty: duty.name }, "the duty works again");
    } catch (error) {
      this.#metrics.dutyTurn(duty.name, "failed");
      if (this.#failing.has(duty.name)) return; // said once per outage
      this.#failing.add(duty.name);
      this.#logger.warn(
        { duty: duty.name, err: error instanceof Error ? error.message : String(error) },
        "a duty failed; it is tried again",
      );
    }
  }

  async #underLock(duty: Duty): Promise<boolean> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    try {
      await client.query("begin");
      const { rows } = await client.query<{ mine: boolean }>("select pg_try_advisory_xact_lock($1, $2) as mine", [
        LOCK_SPACE,
        duty.lock,
      ]);
      duty.onContact?.();
      if (rows[0]?.mine === true) {
        const began = performance.now();
        await duty.perform(this.#stopping.signal);
        this.#metrics.dutyDone(duty.name, (performance.now() - began) / 1000);
      }
      await client.query("commit");
      return rows[0]?.mine === true;
    } catch (error) {
      await client.query("rollback").catch((failure: Error) => (broken = failure));
      throw error;
    } finally {
      client.release(broken);
    }
  }
}

const LOCK_SPACE = 72_018_944;
