import { setTimeout as delay } from "node:timers/promises";
import { signalProcess } from "../stack/process-identity.ts";
import { isAlive, type KnownProcess } from "./dev-lock.ts";
import type { Progress } from "./progress.ts";

/** A little more than their own grace period. */
const PATIENCE_MS = 25_000;

/**
 * Waits for the gateway and workers of a launcher that died suddenly: they noticed, and drain. Those that do not end
 * are killed; their pid and start were noted, so it cannot be anybody else.
 */
export async function endLeftoverProcesses(leftovers: readonly KnownProcess[], progress: Progress): Promise<void> {
  if (!leftovers.some(isAlive)) return;
  await progress.step(
    "leftovers",
    async (report) => {
      report(`waiting for ${names(leftovers)} of an earlier start that was killed`);
      const deadline = performance.now() + PATIENCE_MS;
      while (leftovers.some(isAlive)) {
        if (performance.now() > deadline) {
          for (const { pid } of leftovers.filter(isAlive)) signalProcess(pid, "SIGKILL");
        }
        await delay(50);
      }
    },
    () => "the processes of an earlier start have ended",
  );
}

function names(processes: readonly KnownProcess[]): string {
  return processes
    .filter(isAlive)
    .map(({ name, pid }) => `${name} (pid ${pid})`)
    .join(", ");
}
