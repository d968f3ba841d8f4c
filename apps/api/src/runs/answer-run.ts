import type { Response } from "express";
import type { RouteContext } from "../http/route.ts";
import { waitSeconds } from "../http/prefer-wait.ts";
import { getRunStatus } from "@flotilla/shared/runs/run-queries";
import type { Gateway } from "../gateway.ts";
import { createRun, newRunId, type AcceptedRun, type Submission } from "./create-run.ts";
import type { EndedRun } from "./run-end.ts";
import { streamRun } from "./stream-run.ts";
import { listenForEnd, type RunWait } from "./wait-for-run.ts";

/** The three ways in which a submission is answered: a handle at once, the result after a wait, or a stream. */

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
  const runId = newRunId();
  if (seconds === 0) return sendHandle(gateway, context, submission, await createRun(gateway, submission, runId));

  const listening = listenForEnd(gateway, runId);
  let accepted: AcceptedRun;
  try {
    accepted = await createRun(gateway, listenedTo(submission, "result"), runId);
  } catch (error) {
    listening.close();
    throw error;
  }
  const wait = accepted.replayed ? switchTo(gateway, listening, accepted.runId) : listening;
  const signal = AbortSignal.any([AbortSignal.timeout(seconds * 1000), clientGone]);
  const end = await wait.end(context.principal.tenantId, signal);
  response.setHeader("preference-applied", `wait=${seconds}`);
  if (end === undefined) return sendHandle(gateway, context, submission, accepted);
  sendResult(response, accepted, end);
}

/** Tells the worker what somebody is waiting for. */
function listenedTo(submission: Submission, listening: "events" | "result"): Submission {
  return { ...submission, kwargs: { ...submission.kwargs, listening } };
}

/** A replayed submission waits for the run that the first one made. It may have ended: the row is asked at once. */
function switchTo(gateway: Gateway, listening: RunWait, runId: string): RunWait {
  listening.close();
  return listenForEnd(gateway, runId, true);
}

/** The run's events from the first on. Enqueued before the headers, subscribed before a worker can start. */
export async function answerWithStream(gateway: Gateway, context: Context, submission: Submission): Promise<void> {
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
  const run = runPath(accepted);
  const sse = gateway.streams.open(context.response, { "content-location": run, location: `${run}/stream` });
  await streamRun(gateway, tail, sse, {
    tenantId: submission.principal.tenantId,
    threadId: accepted.threadId,
    runId: accepted.runId,
    after: undefined,
    modes: undefined,
  });
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
  const run = runPath(accepted);
  response
    .status(202)
    .set({ location: run, "content-location": run })
    .json({
      thread_id: accepted.threadId,
      run_id: accepted.runId,
      status: found?.status ?? "pending",
      links: {
        run,
        stream: `${run}/stream`,
        state: `/graphs/${encodeURIComponent(submission.graphId)}/state?thread_id=${encodeURIComponent(accepted.threadId)}`,
        cancel: `${run}/cancel`,
      },
    });
}

/** A failed run is an answer, not a failure of the request. */
function sendResult(response: Response, accepted: AcceptedRun, end: EndedRun | "gone"): void {
  const ended = end === "gone" ? { status: "interrupted", values: {}, interrupts: [], error: null } : end;
  response
    .status(200)
    .set({ "content-location": runPath(accepted) })
    .json({
      result: ended.values,
      thread_id: accepted.threadId,
      run_id: accepted.runId,
      status: ended.status,
      interrupts: ended.interrupts,
      ...(ended.error === null ? {} : { error: ended.error }),
    });
}
