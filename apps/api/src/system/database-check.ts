import { setTimeout as delay } from "node:timers/promises";
import { Unavailable } from "@flotilla/shared/errors";
import { requireSchema } from "@flotilla/shared/postgres/migrate";
import type { Pool, Queryable } from "@flotilla/shared/postgres/pool";

/** How long a probe waits for Postgres, in ms. A frozen one says nothing, not even an error. */
const PATIENCE_MS = 1_500;

/**
 * Asks Postgres for probes. One question at a time, however many probes wait for its answer: those that a frozen Postgres
 * does not give must not take the pool's connections. A question is given up as well, so that the next one finds a Postgres
 * that has moved.
 */
export class DatabaseCheck {
  readonly #db: Queryable;
  #asked: Promise<void> | undefined;

  constructor(pool: Pool) {
    this.#db = impatient(pool);
  }

  /** @throws Unavailable when Postgres does not answer in time; SchemaTooOld; what the driver says. */
  async require(): Promise<void> {
    this.#asked ??= requireSchema(this.#db).finally(() => (this.#asked = undefined));
    const answered = new AbortController();
    const silence = delay(PATIENCE_MS, undefined, { signal: answered.signal }).then(() => {
      throw new Unavailable("The database does not answer; try again");
    });
    try {
      await Promise.race([this.#asked, silence]);
    } finally {
      answered.abort();
      silence.catch(() => {}); // aborted, or thrown already
    }
  }
}

/** The pool, with its connection given up when a statement's answer does not come. */
function impatient(pool: Pool): Queryable {
  const query = (text: string) => pool.query({ text, query_timeout: PATIENCE_MS } as { text: string });
  return { query } as unknown as Queryable;
}
