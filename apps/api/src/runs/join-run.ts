import type { Response } from "express";
import type { EndedRun } from "./run-end.ts";
import { listenForEnd, type RunWait, type WaitDeps } from "./wait-for-run.ts";

/** Leading white space is legal JSON: it keeps proxies and clients from giving up. In ms. */
const KEEP_ALIVE_MS = 2_000;

/**
 * Answers 200 at once and sends the final state when the run ends. When this gateway goes away before, the answer ends without
 * a state, as white space alone: there is none to tell, and the client asks again.
 * @returns false when the client went away before.
 */
export async function joinRun(
  deps: WaitDeps,
  response: Response,
  run: { tenantId: string; runId: string },
  clientGone: AbortSignal,
): Promise<boolean> {
  return sendFinalState(response, listenForEnd(deps, run.runId, true), run.tenantId, clientGone);
}

/** As `joinRun`, with a wait that listens already. */
export async function sendFinalState(
  response: Response,
  wait: RunWait,
  tenantId: string,
  clientGone: AbortSignal,
): Promise<boolean> {
  response
    .status(200)
    .set({ "content-type": "application/json; charset=utf-8", "cache-control": "no-store", "x-accel-buffering": "no" });
  response.flushHeaders();
  const keepAlive = setInterval(() => response.write("\n"), KEEP_ALIVE_MS);
  try {
    const end = await wait.end(tenantId, clientGone);
    if (end === undefined) {
      response.end();
      return !clientGone.aborted;
    }
    response.end(JSON.stringify(end === "gone" ? {} : finalOutput(end)));
    return true;
  } finally {
    clearInterval(keepAlive);
  }
}

/** The final state with the questions that wait, or the error. Always an object or a list, never null. AGENT_SERVER_API 5.2. */
export function finalOutput(end: EndedRun): unknown {
  if (end.error !== null && (end.status === "error" || end.status === "timeout")) return { __error__: end.error };
  const { values } = end;
  if (values === null || typeof values !== "object") return {};
  if (end.interrupts.length === 0 || Array.isArray(values)) return values;
  return { ...values, __interrupt__: end.interrupts };
}
