import { setTimeout as delay } from "node:timers/promises";
import { none, type Target } from "./target.ts";
import { underLoad } from "./under-load.ts";

/** Postgres is gone for 20 s under load: stopped as by a crash. */
export const POSTGRES_AWAY: Target = {
  name: "postgres-away",
  long: true,
  title: "Postgres down for 20 s",
  async measure(context) {
    const fleet = await context.startFleet();
    const before = fleet.nodes.map(({ process }) => process.pid);
    const about = { kind: "Postgres down for 20 s", target: "Postgres" };
    const { history, violations } = await underLoad(context, fleet, about, async () => {
      await fleet.postgres.crash("SIGQUIT");
      await delay(20_000);
      await fleet.postgres.start();
    });
    return [
      none("processes that died", fleet.nodes.filter(({ process }, i) => process.pid !== before[i]).length),
      none("runs that failed", history.run.filter(({ status }) => status === "error" || status === "timeout").length),
      none("violations of I1 to I8", violations.length),
    ];
  },
};

/** Redis is gone for a minute under load: nothing is refused, because Postgres has it all. */
export const REDIS_AWAY: Target = {
  name: "redis-away",
  long: true,
  title: "Redis down for a minute",
  async measure(context) {
    const seconds = context.quick ? 10 : 60;
    const fleet = await context.startFleet();
    let [from, to] = [0, 0];
    const about = { kind: "Redis down", target: "Redis" };
    const { history, violations } = await underLoad(context, fleet, about, async () => {
      from = Date.now();
      await fleet.redis.crash("SIGKILL");
      await delay(seconds * 1_000);
      to = Date.now();
      await fleet.redis.start();
    });
    const meanwhile = history.accepted.filter(({ at }) => at > from + 1_000 && at < to).length;
    return [
      { name: "runs accepted meanwhile", unit: "", value: meanwhile, goal: { atLeast: 1 } },
      none("runs that failed", history.run.filter(({ status }) => status === "error" || status === "timeout").length),
      none("violations of I1 to I8", violations.length),
    ];
  },
};
