import { isConnectionFailure } from "@flotilla/shared/postgres/pg-error";
import { wakeOrPoll } from "@flotilla/shared/events/waiting";
import type { EndedRuns } from "./ended-runs.ts";
import { readRunEnd, type EndedRun, type RunEndDeps } from "./run-end.ts";

/** A wake-up can be lost; the row is read again after this, in ms. */
const POLL_MS = 2_500;

export interface WaitDeps extends RunEndDeps {
  endedRuns: EndedRuns;
}

/** A wait that listens already: begin before the run can start, await later. */
export interface RunWait {
  /** Resolves with the end, or undefined when the signal is aborted or this gateway goes away before. */
  end(tenantId: string, signal: AbortSignal): Promise<EndedRun | "gone" | undefined>;
  close(): void;
}

/** @param mayHaveEnded asks the row at once, for a run that was not made just now. */
export function listenForEnd(deps: WaitDeps, runId: string, mayHaveEnded = false): RunWait {
  let ended = mayHaveEnded;
  let told: EndedRun | undefined;
  let notify: () => void = () => {};
  const stop = deps.endedRuns.listen(runId, (result) => {
    ended = true;
    if (result !== undefined) told = JSON.parse(result) as EndedRun;
    notify();
  });
  return {
    close: stop,
    async end(tenantId, signal) {
      try {
        // A gateway that goes away looks at the row once more: what has ended meanwhile is told.
        do {
          if (!ended && !deps.endedRuns.isClosing) await wakeOrPoll((wake) => (notify = wake), POLL_MS, signal);
          if (told !== undefined) return told;
          if (signal.aborted) return undefined;
          ended = false;
          const end = await readRunEnd(deps, tenantId, runId).catch(liveWhileAway);
          if (end !== "live") return end;
        } while (!deps.endedRuns.isClosing);
        return undefined;
      } finally {
        stop();
      }
    },
  };
}

/** While Postgres is away the run counts as live: its end is asked for again. Anything else would only be waited for in vain. */
function liveWhileAway(error: unknown): "live" {
  if (isConnectionFailure(error)) return "live";
  throw error;
}
