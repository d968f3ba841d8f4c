import { collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Pool } from "../postgres/pool.ts";
import type { LoopWatchdog } from "../process/loop-watchdog.ts";

/** Metrics that gateways and workers share. Labels are bounded: never an id, never a raw path. */
export function createRegistry(
  version: string,
  role: "gateway" | "worker",
  parts: { pool: Pool; poolMax: number; watchdog: LoopWatchdog },
): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "flotilla_build_info",
    help: "Version of the process",
    labelNames: ["version", "role"],
    registers: [registry],
  })
    .labels(version, role)
    .set(1);
  new Gauge({
    name: "langgraph_db_pool_size",
    help: "Postgres connections of this process by state; free is what may still be opened or used",
    labelNames: ["state"],
    registers: [registry],
    collect() {
      const { pool, poolMax } = parts;
      const used = pool.totalCount - pool.idleCount;
      this.labels("used").set(used);
      this.labels("free").set(poolMax - used);
      this.labels("waiting").set(pool.waitingCount);
    },
  });
  new Gauge({
    name: "flotilla_event_loop_lag_seconds",
    help: "Worst delay of the event loop in the last three seconds",
    registers: [registry],
    collect() {
      this.set(parts.watchdog.lagSeconds);
    },
  });
  return registry;
}
