import type { Queryable } from "@flotilla/shared/postgres/pool";
import type { Stoppable } from "@flotilla/shared/process/lifecycle";
import { countPending, countPendingOf } from "@flotilla/shared/runs/fleet-queries";

const EVERY_MS = 1_000;
/** Slow counts come less often: about this share of the time, but at least every five seconds. */
const SHARE = 0.02;
const LATEST_MS = 5_000;
/** A count that is older says nothing: Postgres is away, which requests find out by themselves. In ms. */
const FRESH_MS = 30_000;
/** A tenant that submits nothing for this long is not counted any more, in ms. */
const WATCHED_MS = 60_000;

export interface PendingLimits {
  /** Of the whole server. */
  all: number;
  ofTenant: number | undefined;
}

interface Count {
  runs: number;
  at: number;
}

/**
 * Counts pending runs once a second, up to the limit and no further, so that no submission pays for it. What comes in between two
 * counts, on all gateways, is accepted beyond the limit. A tenant is counted while it submits.
 */
export class PendingRuns implements Stoppable {
  readonly #db: Queryable;
  readonly #limits: PendingLimits;
  readonly #tenants = new Map<string, { submittedAt: number; count: Count | undefined }>();
  #all: Count | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(db: Queryable, limits: PendingLimits) {
    this.#db = db;
    this.#limits = limits;
    void this.#go();
  }

  get areTooMany(): boolean {
    return runsOf(this.#all) >= this.#limits.all;
  }

  /** Whether a tenant that submits a run has too many. */
  areTooManyOf(tenantId: string): boolean {
    if (this.#limits.ofTenant === undefined) return false;
    const known = this.#tenants.get(tenantId);
    this.#tenants.set(tenantId, { submittedAt: performance.now(), count: known?.count });
    return runsOf(known?.count) >= this.#limits.ofTenant;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #go(): Promise<void> {
    const began = performance.now();
    await this.#count().catch(() => {}); // what was counted grows old
    if (this.#stopped) return;
    const pauseMs = Math.min(Math.max(EVERY_MS, (performance.now() - began) / SHARE), LATEST_MS);
    this.#timer = setTimeout(() => void this.#go(), pauseMs).unref();
  }

  async #count(): Promise<void> {
    this.#all = { runs: await countPending(this.#db, this.#limits.all), at: performance.now() };
    if (this.#limits.ofTenant === undefined) return;
    for (const [tenantId, { submittedAt }] of this.#tenants)
      if (performance.now() - submittedAt > WATCHED_MS) this.#tenants.delete(tenantId);
    const counts = await countPendingOf(this.#db, [...this.#tenants.keys()], this.#limits.ofTenant);
    for (const [tenantId, tenant] of this.#tenants)
      tenant.count = { runs: counts.get(tenantId) ?? 0, at: performance.now() };
  }
}

function runsOf(count: Count | undefined): number {
  return count === undefined || performance.now() - count.at > FRESH_MS ? 0 : count.runs;
}
