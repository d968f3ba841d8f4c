import type { Logger } from "../process/logger.ts";
import type { Stoppable } from "../process/lifecycle.ts";
import type { Queryable } from "./pool.ts";

/** A clock that is off by more than this makes a process unready, in ms. */
export const MAX_SKEW_MS = 500;
const CHECK_EVERY_MS = 30_000;

/** How far this process's clock is ahead of Postgres' (ms), give or take half a round trip. */
export async function measureSkew(db: Queryable, now: () => number = Date.now): Promise<number> {
  const before = now();
  const { rows } = await db.query<{ now: number }>(
    "select (extract(epoch from clock_timestamp()) * 1000)::double precision as now",
  );
  const after = now();
  const uncertainty = (after - before) / 2;
  const skew = (before + after) / 2 - (rows[0]?.now ?? before);
  return Math.abs(skew) <= uncertainty ? 0 : skew;
}

/** Compares the clocks from time to time. Nothing depends on them but ids and log lines; a wrong one is still worth a word. */
export class ClockCheck implements Stoppable {
  readonly #timer: NodeJS.Timeout;
  #skewMs = 0;

  constructor(db: Queryable, logger: Logger) {
    const check = async () => {
      const skew = await measureSkew(db).catch(() => undefined);
      if (skew === undefined) return;
      if (Math.abs(skew) > MAX_SKEW_MS && Math.abs(this.#skewMs) <= MAX_SKEW_MS) {
        logger.error(
          { skew_ms: Math.round(skew) },
          "this machine's clock differs from Postgres'; the process reports unready",
        );
      }
      this.#skewMs = skew;
    };
    this.#timer = setInterval(() => void check(), CHECK_EVERY_MS).unref();
    void check();
  }

  get isRight(): boolean {
    return Math.abs(this.#skewMs) <= MAX_SKEW_MS;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
