import { percentile } from "../report/statistics.ts";
import { expect, type Scenario } from "./scenario.ts";

const RUNS = 100;
const WARM_UP = 10;

/** One client: a run until its question, then the answer until the end. */
export const approve: Scenario = {
  number: 8,
  title: "approve: interrupt, then resume, one client",
  async run(client) {
    const asks: number[] = [];
    const answers: number[] = [];
    for (let i = -WARM_UP; i < RUNS; i++) {
      const started = performance.now();
      const asked = await client.invoke("approve", { question: "may I?" });
      const between = performance.now();
      expect(asked.interrupts.length === 1, "one question waits", asked);
      const answered = await client.resume("approve", asked.thread_id, "yes");
      const ended = performance.now();
      expect(
        answered.status === "success" && answered.result["answer"] === "heard yes",
        "the answer is heard",
        answered,
      );
      if (i < 0) continue;
      asks.push(between - started);
      answers.push(ended - between);
    }
    return [
      { name: "until the question, p50", unit: "ms", value: percentile(asks, 50), goal: { atMost: 20 } },
      { name: "until the question, p99", unit: "ms", value: percentile(asks, 99) },
      { name: "resume until the end, p50", unit: "ms", value: percentile(answers, 50), goal: { atMost: 20 } },
      { name: "resume until the end, p99", unit: "ms", value: percentile(answers, 99) },
    ];
  },
};
