import type { Response } from "express";
import type { RouteContext } from "../http/route.ts";
import { waitSeconds } from "../http/prefer-wait.ts";
import { NotFound } from "@flotilla/shared/errors";
import { getRun, getRunStatus } from "@flotilla/shared/runs/run-queries";
import type { Run } from "@flotilla/shared/runs/run";
import type { Gateway } from "../gateway.ts";
import { createRun, newRunId, type AcceptedRun, type Submission } from "./create-run.ts";
import { sendFinalState } from "./join-run.ts";
import { visibleRun } from "./render-run.ts";
import type { EndedRun } from "./run-end.ts";
import { streamRun } from "./stream-run.ts";
import { listenForEnd, type RunWait } from "./wait-for-run.ts";

/** The ways in which a submission is answered: a handle or the run at once, the result after a wait, or a stream. */

type Context = Pick<
  RouteContext<unknown, { wait?: number | undefined }, unknown>,
  "request" | "response" | "query" | "clientGone" | "principal"
>;

/** 202 with a handle; with `Prefer: wait=N`, 200 with the result when the run ends in time. */
export async function answerWithHandleOrResult(
  gateway: Gateway,
  context: Context,
  submission: Submission,
): Promise<void> {
  const { request, response, query, clientGone } = context;
  const seconds = waitSeconds(request, query);
  if (seconds === 0) return sendHandle(gateway, context, submission, await createRun(gateway, submission, newRunId()));

  const { accepted, wait } = await submitAndListen(gateway, submission);
  const signal = AbortSignal.any([AbortSignal.timeout(seconds * 1000), clientGone]);
  const end = await wait.end(context.principal.tenantId, signal);
  response.setHeader("preference-applied", `wait=${seconds}`);
  if (end === undefined) return sendHandle(gateway, context, submission, accepted);
  sendResult(gateway, response, accepted, end);
}

/** Tells the worker what somebody is waiting for. */
function listenedTo(submission: Submission, listening: "events" | "result"): Submission {
  return { ...submission, kwargs: { ...submission.kwargs, listening } };
}

/**
 * Submits a run whose end is listened for before it can start. A replayed submission waits for the run that the first one
 * made, which may have ended: the row is asked at once.
 */
async function submitAndListen(
  gateway: Gateway,
  submission: Submission,
): Promise<{ accepted: AcceptedRun; wait: RunWait }> {
  const runId = newRunId();
  const listening = listenForEnd(gateway, runId);
  try {
    const accepted = await createRun(gateway, listenedTo(submission, "result"), runId);
    if (!accepted.replayed) return { accepted, wait: listening };
    listening.close();
    return { accepted, wait: listenForEnd(gateway, accepted.runId, true) };
  } catch (error) {
    listening.close();
    throw error;
  }
}

/** 200 with the run as it was accepted. */
export async function answerWithRun(
  gateway: Gateway,
  response: Response,
  submission: Submission,
  path: (accepted: AcceptedRun) => string = runPath,
): Promise<void> {
  const accepted = await createRun(gateway, submission, newRunId());
  response.setHeader("content-location", gateway.mountPrefix + path(accepted));
  response.json(visibleRun(await rowOf(gateway, submission.principal.tenantId, accepted)));
}

/** The row of a run that an earlier request made is read: it has gone on since. */
export async function rowOf(gateway: Gateway, tenantId: string, { run, threadId, runId }: AcceptedRun): Promise<Run> {
  const found = run ?? (await getRun(gateway.pool, tenantId, threadId, runId));
  if (found === undefined) throw new NotFound("run", `Run ${runId} does not exist any more`);
  return found;
}

/**
 * 200 at once and the final state when the run ends; what a submission is refused for is said before. AGENT_SERVER_API 5.2.
 * @returns the run whose client went away before its end.
 */
export async function answerWithFinalState(
  gateway: Gateway,
  context: Context,
  submission: Submission,
  path: (accepted: AcceptedRun) => string = runPath,
): Promise<AcceptedRun | undefined> {
  const { tenantId } = submission.principal;
  const { accepted, wait } = await submitAndListen(gateway, submission);
  context.response.set({
    "content-location": gateway.mountPrefix + path(accepted),
    location: `${runPath(accepted)}/join`,
  });
  return (await sendFinalState(context.response, wait, tenantId, context.clientGone)) ? undefined : accepted;
}

/**
 * The run's events from the first on. Enqueued before the headers, subscribed before a worker can start.
 * `Location` is where to go on. Clients of the Agent Server API put it after their server's URL, mount prefix and all; others
 * take it as any URL's path, and get the prefix in `locationBase`.
 * @returns the run whose client went away before its end.
 */
export async function answerWithStream(
  gateway: Gateway,
  context: Context,
  submission: Submission,
  { path = runPath, locationBase = "" }: { path?: (accepted: AcceptedRun) => string; locationBase?: string } = {},
): Promise<AcceptedRun | undefined> {
  const runId = newRunId();
  const opening = gateway.tails.openNew(runId, submission.principal.tenantId);
  let accepted: AcceptedRun;
  try {
    accepted = await createRun(gateway, listenedTo(submission, "events"), runId, opening);
  } catch (error) {
    (await opening).close();
    throw error;
  }
  let tail = await opening;
  if (accepted.replayed) {
    tail.close();
    tail = await gateway.tails.open(accepted.runId, submission.principal.tenantId);
  }
  const sse = gateway.streams.open(context.response, {
    "content-location": gateway.mountPrefix + path(accepted),
    location: `${locationBase}${runPath(accepted)}/stream`,
  });
  await streamRun(gateway, tail, sse, {
    tenantId: submission.principal.tenantId,
    threadId: accepted.threadId,
    runId: accepted.runId,
    after: undefined,
    modes: undefined,
  });
  return sse.clientLeft ? accepted : undefined;
}

export function runPath({ threadId, runId }: { threadId: string; runId: string }): string {
  return `/threads/${encodeURIComponent(threadId)}/runs/${runId}`;
}

/** The status of a run that was accepted just now is known; one that was replayed, or waited for, is asked. */
async function sendHandle(
  gateway: Gateway,
  context: Context,
  submission: Submission,
  accepted: AcceptedRun,
): Promise<void> {
  const { response, principal } = context;
  const asked = accepted.replayed || response.hasHeader("preference-applied");
  const found = asked ? await getRunStatus(gateway.pool, principal.tenantId, accepted.runId) : undefined;
  const { mountPrefix } = gateway;
  const run = mountPrefix + runPath(accepted);
  response
    .status(202)
    .set({ location: run, "content-location": run })
    .json({
      thread_id: accepted.threadId,
      run_id: accepted.runId,
      status: found?.status ?? (asked ? "interrupted" : "pending"), // rolled back, and gone
      links: {
        run,
        stream: `${run}/stream`,
        state: `${mountPrefix}/graphs/${encodeURIComponent(submission.graphId)}/state?thread_id=${encodeURIComponent(accepted.threadId)}`,
        cancel: `${run}/cancel`,
      },
    });
}

/** A failed run is an answer, not a failure of the request. */
function sendResult(gateway: Gateway, response: Response, accepted: AcceptedRun, end: EndedRun | "gone"): void {
  const ended = end === "gone" ? { status: "interrupted", values: {}, interrupts: [], error: null } : end;
  response
    .status(200)
    .set({ "content-location": gateway.mountPrefix + runPath(accepted) })
    .json({
      result: ended.values,
      thread_id: accepted.threadId,
      run_id: accepted.runId,
      status: ended.status,
      interrupts: ended.interrupts,
      ...(ended.error === null ? {} : { error: ended.error }),
    });
}
