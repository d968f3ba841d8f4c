import type { Logger } from "../process/logger.ts";
import type { Stoppable } from "../process/lifecycle.ts";
import type { Queryable } from "./pool.ts";

/** A clock that is off by more than this makes a process unready, in ms. */
const MAX_SKEW_MS = 500;
const CHECK_EVERY_MS = 10_000;
/** While the clock is off: traffic comes back soon after it is right again. */
const RECHECK_MS = 1_000;

/**
 * How far this process's clock is surely ahead of Postgres' (ms, negative when behind). Postgres answered at some time of the
 * round trip: half of it is uncertain, and a slow Postgres does not make a clock wrong.
 */
async function measureSkew(db: Queryable): Promise<number> {
  const [wall, monotonic] = [Date.now(), performance.now()];
  const { rows } = await db.query<{ now: number }>(
    "select (extract(epoch from clock_timestamp()) * 1000)::double precision as now",
  );
  const uncertainty = (performance.now() - monotonic) / 2;
  const skew = wall + uncertainty - (rows[0]?.now ?? wall);
  return Math.sign(skew) * Math.max(0, Math.abs(skew) - uncertainty);
}

/** Compares the clocks from time to time. Nothing depends on them but ids and log lines; a wrong one is still worth a word. */
export class ClockCheck implements Stoppable {
  readonly #db: Queryable;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #isRight = true;

  private constructor(db: Queryable, logger: Logger) {
    this.#db = db;
    this.#logger = logger;
  }

  /** Resolves when the clocks have been compared: a process that starts with a wrong one is never ready. */
  static async start(db: Queryable, logger: Logger): Promise<ClockCheck> {
    const clock = new ClockCheck(db, logger);
    await clock.#check();
    return clock;
  }

  get isRight(): boolean {
    return this.#isRight;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #check(): Promise<void> {
    const skew = await measureSkew(this.#db).catch(() => undefined);
    if (this.#stopped) return;
    if (skew !== undefined) this.#note(skew);
    this.#timer = setTimeout(() => void this.#check(), this.#isRight ? CHECK_EVERY_MS : RECHECK_MS).unref();
  }

  #note(skewMs: number): void {
    const isRight = Math.abs(skewMs) <= MAX_SKEW_MS;
    if (isRight === this.#isRight) return;
    this.#isRight = isRight;
    const facts = { skew_ms: Math.round(skewMs) };
    if (isRight) this.#logger.info(facts, "this machine's clock agrees with Postgres' again");
    else this.#logger.error(facts, "this machine's clock differs from Postgres'; the process reports unready");
  }
}
