import { Overloaded } from "@flotilla/shared/errors";
import type { PendingRuns } from "./pending-runs.ts";
import type { RedisFullness } from "./redis-fullness.ts";

/** What a submission is answered 503 for, in the API's description. */
export const NOT_NOW =
  "The server has too much to do and has stored nothing (`redis_full`, `database_busy`, `too_many_pending_runs`, `too_many_pending_runs_of_tenant`), or Postgres does not answer (`unavailable`): try again after `Retry-After`. Or the graph could not be loaded (`graph_not_loaded`)";

/**
 * Whether the server takes more runs. Asked before anything of a submission is stored, and answered from what was seen within the
 * last seconds: it costs nothing and never waits. A submission that repeats an Idempotency-Key is refused like any other; its run
 * goes on, and the next try finds it.
 */
export class Admission {
  readonly #redis: RedisFullness;
  readonly #pending: PendingRuns;

  constructor(redis: RedisFullness, pending: PendingRuns) {
    this.#redis = redis;
    this.#pending = pending;
  }

  /** @throws Overloaded */
  admit(tenantId: string): void {
    if (this.#redis.isFull)
      throw new Overloaded(
        "redis_full",
        "Redis has hardly any memory left; no runs are accepted until it has. Try again",
      );
    if (this.#pending.areTooMany)
      throw new Overloaded("too_many_pending_runs", "Too many runs wait for a worker; try again later");
    if (this.#pending.areTooManyOf(tenantId))
      throw new Overloaded(
        "too_many_pending_runs_of_tenant",
        "Too many runs of yours wait for a worker; try again later",
      );
  }
}
