import { percentile } from "../report/statistics.ts";
import { expect, type Scenario } from "./scenario.ts";

const CLIENTS = 32;
const WARM_UP_SECONDS = 2;
const SECONDS = 20;

/** Closed loop: each client submits a run of chain5 on a new thread as soon as its last one has ended. */
export const throughput: Scenario = {
  number: 2,
  title: `throughput: chain5 on new threads, ${CLIENTS} clients, ${SECONDS} s`,
  async run(client) {
    const begin = performance.now() + WARM_UP_SECONDS * 1000;
    const end = begin + SECONDS * 1000;
    const times: number[] = [];
    const loop = async (): Promise<void> => {
      for (let started = performance.now(); started < end; started = performance.now()) {
        const answer = await client.invoke("chain5", { count: 0 });
        const ended = performance.now();
        expect(answer.status === "success" && answer.result["count"] === 5, "chain5 counts to 5", answer);
        if (ended >= begin && ended <= end) times.push(ended - started);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, loop));
    return [
      { name: "chain5 runs", unit: "/s", value: times.length / SECONDS, goal: { atLeast: 126 } },
      { name: "chain5, create and wait, p50", unit: "ms", value: percentile(times, 50) },
      { name: "chain5, create and wait, p99", unit: "ms", value: percentile(times, 99) },
    ];
  },
};
