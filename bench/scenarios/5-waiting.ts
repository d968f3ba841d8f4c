import { percentile } from "../report/statistics.ts";
import { expect, type Scenario } from "./scenario.ts";

const RUNS = 200;
const SECONDS = 1;

/** Runs that wait, as for a slow model. Needs as many slots as there are runs: N_JOBS_PER_WORKER times workers. */
export const waiting: Scenario = {
  number: 5,
  title: `waiting: ${RUNS} runs of ${SECONDS} s at once`,
  async run(client) {
    const started = performance.now();
    const ends: number[] = [];
    await Promise.all(
      Array.from({ length: RUNS }, async () => {
        const answer = await client.invoke("sleep", { seconds: SECONDS });
        expect(answer.status === "success" && answer.result["done"] === true, "the run is done", answer);
        ends.push(performance.now() - started);
      }),
    );
    return [
      {
        name: `${RUNS} runs that wait ${SECONDS} s, makespan`,
        unit: "s",
        value: Math.max(...ends) / 1000,
        goal: { atMost: 1.6 },
      },
      { name: "of these, p50", unit: "s", value: percentile(ends, 50) / 1000 },
    ];
  },
};
