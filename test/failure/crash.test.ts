import { beforeAll, expect, test } from "vitest";
import type { StackProcess } from "../support/stack.ts";
import { Fleet } from "./support/fleet.ts";
import { randomInt, seededRandom, testSeed } from "./support/random.ts";
import { expectWholeStream } from "./support/stream.ts";

const STEPS = 20;
const CRASHES = 20;
const numbers = Array.from({ length: STEPS }, (_, i) => i + 1);

let fleet: Fleet;
beforeAll(async () => {
  fleet = await Fleet.start();
});

test(
  "a run whose worker is killed at any step goes on elsewhere, without a lost or a repeated step",
  { timeout: 240_000 },
  async () => {
    const random = seededRandom(testSeed());
    let workers: StackProcess[] = await Promise.all([fleet.stack.startWorker(), fleet.stack.startWorker()]);

    for (let crash = 0; crash < CRASHES; crash++) {
      const step = randomInt(random, 1, STEPS);
      const input = { inputs: [`crash ${crash}`], steps: STEPS, delay_ms: 8 };
      const run = await fleet.submit({}, { input, listening: "events" });

      const pid = await fleet.stepBegun(run.runId, step);
      const victim = workers.find((worker) => worker.pid === pid) as StackProcess;
      await victim.kill("SIGKILL");
      const spare = fleet.stack.startWorker();
      const row = await fleet.ended(run.runId);
      workers = [...workers.filter((worker) => worker !== victim), await spare];

      const seen = `crash ${crash} at step ${step}`;
      expect(row, seen).toMatchObject({ status: "success", error: null });
      expect(await fleet.threadValues(run.threadId), seen).toEqual({ ...input, log: numbers });
      expect(await fleet.chain(run.threadId), seen).toBe(
        ["input-1", ...[0, ...numbers].map((n) => `loop${n}`)].join(" "),
      );

      // A kill between the last step and the settlement of the run may come too late to be noticed: then nothing is redone.
      const effects = fleet.effects(run.runId).map((effect) => effect.step);
      expect(new Set(effects), seen).toEqual(new Set(numbers));
      expect(effects.length, `${seen}: ${effects.join(" ")}`).toBeLessThanOrEqual(STEPS + 1);

      const events = await fleet.events(run.runId);
      expectWholeStream(events);
      const attempts = events.filter((event) => event.event === "metadata").map((event) => event.id.attempt);
      expect(attempts, seen).toEqual(numbers.slice(0, row.attempt));
      expect(row.attempt, seen).toBe(2);
    }
  },
);
