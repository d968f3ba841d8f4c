import { percentile } from "../report/statistics.ts";
import { expect, type Scenario } from "./scenario.ts";

const RUNS = 300;
const WARM_UP = 30;

/** One client: a run of noop on a new thread, waited for, one after the other. */
export const latency: Scenario = {
  number: 1,
  title: "latency: noop on a new thread, waited for, one client",
  async run(client) {
    const times: number[] = [];
    for (let i = -WARM_UP; i < RUNS; i++) {
      const started = performance.now();
      const answer = await client.invoke("noop", { count: 0 });
      const ms = performance.now() - started;
      expect(answer.status === "success" && answer.result["count"] === 1, "noop counts to 1", answer);
      if (i >= 0) times.push(ms);
    }
    return [
      { name: "noop, create and wait, p50", unit: "ms", value: percentile(times, 50), goal: { atMost: 15 } },
      { name: "noop, create and wait, p99", unit: "ms", value: percentile(times, 99), goal: { atMost: 35 } },
    ];
  },
};
