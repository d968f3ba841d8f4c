import * as z from "zod";
import { threadId } from "@flotilla/shared/protocol/ids";
import { createRunBody, createRunsBody, type CreateRunBody } from "@flotilla/shared/protocol/run-body";
import { errorBody, runBody } from "@flotilla/shared/protocol/responses";
import type { Gateway } from "../gateway.ts";
import { idempotencyOf, keyOfPart } from "../http/idempotency.ts";
import { NOT_NOW } from "../admission/admission.ts";
import { route, type Route, type RouteContext } from "../http/route.ts";
import { answerWithFinalState, answerWithRun, answerWithStream, rowOf, runPath } from "./answer-run.ts";
import { cancelAbandoned } from "./cancel-run.ts";
import { createRuns, type AcceptedRun, type Submission } from "./create-run.ts";
import { refuseSelfWait } from "./refuse-self-wait.ts";
import { visibleRun } from "./render-run.ts";
import { runSubmissionOf } from "./run-submission.ts";

/** Submitting runs by the Agent Server API: on a thread or without one; in the background, streamed, or waited for. Section 5. */

const tag = "runs";
/** Where the run goes: on the thread in the path, or on one of its own. */
type Place = z.ZodType<{ thread_id?: string }>;
const onThread: Place = z.object({ thread_id: threadId });
const alone: Place = z.object({});
const headers = { "Idempotency-Key": "The same key with the same body, within 24 hours, gives the same run" };
const error = (description: string) => ({ description, schema: errorBody });
const refusals = {
  404: error("There is no such assistant, or no such thread"),
  409: error("The thread is busy, and the strategy is reject"),
  422: error("A value is not valid, or several questions wait and the answer names none"),
  503: error(NOT_NOW),
};
const accepted = { 200: { description: "The run, pending", schema: runBody }, ...refusals };
const streamed = {
  200: { description: "Server-Sent Events from the run's first event on", contentType: "text/event-stream" },
  ...refusals,
};
const waited = { 200: { description: 'The final state; {"__error__": …} for a run that failed' }, ...refusals };

type SubmitContext = RouteContext<{ thread_id?: string }, unknown, CreateRunBody>;

export function submitRoutes(gateway: Gateway): Route[] {
  const submit = (
    path: string,
    place: Place,
    summary: string,
    answers: Route["answers"],
    handle: (context: SubmitContext) => Promise<void>,
  ) => route({ method: "post", path, tag, summary, headers, params: place, body: createRunBody, answers, handle });

  const inBackground = async (context: SubmitContext) => {
    const submission = await submissionOf(gateway, context, context.body);
    await answerWithRun(gateway, context.response, submission, pathOf(submission));
  };
  const asStream = async (context: SubmitContext) => {
    const submission = await awaitedSubmissionOf(gateway, context);
    const abandoned = await answerWithStream(gateway, { ...context, query: {} }, submission, {
      path: pathOf(submission),
    });
    await whenAbandoned(gateway, context, abandoned);
  };
  const waitedFor = async (context: SubmitContext) => {
    const submission = await awaitedSubmissionOf(gateway, context);
    const abandoned = await answerWithFinalState(gateway, { ...context, query: {} }, submission, pathOf(submission));
    await whenAbandoned(gateway, context, abandoned);
  };
  return [
    submit("/threads/{thread_id}/runs", onThread, "Submit a run", accepted, inBackground),
    submit("/threads/{thread_id}/runs/stream", onThread, "Submit a run and follow its events", streamed, asStream),
    submit("/threads/{thread_id}/runs/wait", onThread, "Submit a run and wait for its final state", waited, waitedFor),
    submit("/runs", alone, "Submit a run without a thread", accepted, inBackground),
    submit("/runs/stream", alone, "Submit a run without a thread and follow its events", streamed, asStream),
    submit("/runs/wait", alone, "Submit a run without a thread and wait for its final state", waited, waitedFor),
    route({
      method: "post",
      path: "/runs/batch",
      tag,
      summary: "Submit several runs without threads",
      headers,
      body: createRunsBody,
      answers: { 200: { description: "The runs, in the order of the request", schema: runBody.array() }, ...refusals },
      async handle(context) {
        const submissions: Submission[] = [];
        for (const body of context.body) submissions.push(await submissionOf(gateway, context, body)); // all, before any is accepted
        const parts = submissions.map((submission, i) => ({
          ...submission,
          idempotency: submission.idempotency && keyOfPart(submission.idempotency, i),
        }));
        const runs: object[] = [];
        for (const accepted of await createRuns(gateway, parts))
          runs.push(visibleRun(await rowOf(gateway, context.principal.tenantId, accepted)));
        context.response.json(runs);
      },
    }),
  ];
}

async function submissionOf(
  gateway: Gateway,
  { principal, request, params, body: whole }: RouteContext<unknown, unknown, unknown>,
  body: CreateRunBody,
): Promise<Submission> {
  const assistant = await gateway.assistants.require(principal.tenantId, body.assistant_id);
  gateway.registry.requireLoaded(assistant.graph_id);
  const idempotency = idempotencyOf(request, whole);
  const { thread_id: threadId } = params as z.output<Place>;
  const passed = gateway.configurableHeaders.of(request.headers);
  return runSubmissionOf(body, { principal, assistant, threadId, idempotency, headers: passed });
}

async function awaitedSubmissionOf(gateway: Gateway, context: SubmitContext): Promise<Submission> {
  const { body, params, principal } = context;
  await refuseSelfWait(gateway.pool, principal.tenantId, params.thread_id, body);
  return submissionOf(gateway, context, body);
}

/** A run without a thread is known by its own id alone. */
function pathOf({ thread }: Submission): (run: AcceptedRun) => string {
  return thread === "temporary" ? ({ runId }) => `/runs/${runId}` : runPath;
}

async function whenAbandoned(gateway: Gateway, context: SubmitContext, run: AcceptedRun | undefined): Promise<void> {
  if (run === undefined || context.body.on_disconnect !== "cancel") return;
  await cancelAbandoned(gateway, { tenantId: context.principal.tenantId, threadId: run.threadId, runId: run.runId });
}
