import * as z from "zod";
import { BadRequest } from "@flotilla/shared/errors";
import { invokeBody, resumeBody, updateStateBody } from "@flotilla/shared/protocol/graph-call";
import { checkpointId, graphId, threadId } from "@flotilla/shared/protocol/ids";
import { limit, queryFlag } from "@flotilla/shared/protocol/query";
import { callResult, errorBody, graphList, threadHandle, threadState } from "@flotilla/shared/protocol/responses";
import type { Gateway } from "../gateway.ts";
import { NOT_NOW } from "../admission/admission.ts";
import { idempotencyOf } from "../http/idempotency.ts";
import { waitQuery } from "../http/prefer-wait.ts";
import { route, type Route, type RouteContext } from "../http/route.ts";
import { answerWithHandleOrResult, answerWithStream } from "../runs/answer-run.ts";
import { resumeOf, submissionOf, threadIdOf } from "./submission.ts";

/** The small dialect, `/graphs/*`: invoke, stream, resume, state, history. */

const INVOKE_MODES = ["values"];
const STREAM_MODES = ["values", "updates", "messages-tuple", "custom"];

const tag = "graphs";
const params = z.object({ graph: graphId });
const IDEMPOTENCY = { "Idempotency-Key": "The same key with the same body, within 24 hours, gives the same run" };
const PREFER = { Prefer: "wait=N: seconds to wait for the end, as the query's wait" };
const error = (description: string) => ({ description, schema: errorBody });
const refusals = {
  404: error("There is no such graph, or no such thread"),
  409: error("The thread's state does not allow it"),
  422: error("A value is not valid"),
  503: error("The graph could not be loaded (`graph_not_loaded`), or Postgres does not answer (`unavailable`)"),
};
const notNow = { 503: error(NOT_NOW) };
const submitted = {
  200: { description: "The run ended within the wait", schema: callResult },
  202: { description: "The run was accepted", schema: threadHandle },
  ...refusals,
  ...notNow,
};

export function graphRoutes(gateway: Gateway): Route[] {
  const { registry, states } = gateway;
  const callerOf = ({
    principal,
    params: { graph },
    request,
    body,
  }: RouteContext<{ graph: string }, unknown, unknown>) => ({
    principal,
    graphId: graph,
    idempotency: idempotencyOf(request, body),
    headers: gateway.configurableHeaders.of(request.headers),
  });
  return [
    route({
      method: "get",
      path: "/graphs",
      tag,
      area: "assistants",
      summary: "The graphs that this server runs",
      answers: { 200: { description: "Names and descriptions", schema: graphList } },
      handle: ({ response }) => void response.json({ graphs: registry.describe() }),
    }),
    route({
      method: "post",
      path: "/graphs/{graph}/invoke",
      tag,
      area: "runs",
      summary: "Submit a run; with Prefer: wait=N, wait for its result",
      params,
      query: waitQuery,
      headers: { ...IDEMPOTENCY, ...PREFER },
      body: invokeBody,
      answers: submitted,
      async handle(context) {
        registry.requireLoaded(context.params.graph);
        const caller = callerOf(context);
        await answerWithHandleOrResult(gateway, context, submissionOf(context.body, caller, INVOKE_MODES));
      },
    }),
    route({
      method: "post",
      path: "/graphs/{graph}/resume",
      tag,
      area: "runs",
      summary: "Answer the question that a thread waits for",
      params,
      query: waitQuery,
      headers: { ...IDEMPOTENCY, ...PREFER },
      body: resumeBody,
      answers: submitted,
      async handle(context) {
        registry.requireLoaded(context.params.graph);
        const caller = callerOf(context);
        await answerWithHandleOrResult(gateway, context, resumeOf(context.body, caller, INVOKE_MODES));
      },
    }),
    route({
      method: "post",
      path: "/graphs/{graph}/stream",
      tag,
      area: "runs",
      summary: "Submit a run and follow its events",
      params,
      body: invokeBody,
      headers: IDEMPOTENCY,
      answers: {
        200: { description: "Server-Sent Events from the run's first event on", contentType: "text/event-stream" },
        ...refusals,
        ...notNow,
      },
      async handle(context) {
        registry.requireLoaded(context.params.graph);
        const caller = callerOf(context);
        await answerWithStream(gateway, { ...context, query: {} }, submissionOf(context.body, caller, STREAM_MODES), {
          locationBase: gateway.mountPrefix,
        });
      },
    }),
    route({
      method: "get",
      path: "/graphs/{graph}/state",
      tag,
      area: "threads",
      summary: "The state of a thread",
      params,
      query: z.object({ thread_id: threadId, checkpoint_id: checkpointId.optional(), subgraphs: queryFlag.optional() }),
      answers: { 200: { description: "The state", schema: threadState }, ...refusals },
      async handle({ principal, params: { graph }, query, response }) {
        registry.requireLoaded(graph);
        await states.requireThread(principal.tenantId, query.thread_id, graph);
        const options = { checkpointId: query.checkpoint_id, subgraphs: query.subgraphs };
        response.json(await states.read(principal.tenantId, query.thread_id, graph, options));
      },
    }),
    route({
      method: "post",
      path: "/graphs/{graph}/state",
      tag,
      area: "threads",
      summary: "Edit the state of a thread that is at rest",
      params,
      query: z.object({ thread_id: threadId.optional() }),
      body: updateStateBody,
      answers: {
        200: {
          description: "The new checkpoint",
          schema: z.object({ status: z.literal("updated"), thread_id: z.string(), checkpoint_id: z.string() }),
        },
        400: error("Body and query name different threads"),
        ...refusals,
      },
      async handle({ principal, params: { graph }, query, body, response }) {
        registry.requireLoaded(graph);
        const thread = threadIdOf(body.thread_id, query.thread_id);
        if (thread === "mismatch") throw new BadRequest("thread_id in the body and in the query differ");
        const state = await states.update({
          tenantId: principal.tenantId,
          threadId: thread,
          graphId: graph,
          values: body.values,
          asNode: body.as_node,
          checkpointId: body.checkpoint_id,
        });
        response.json({
          status: "updated",
          thread_id: thread,
          checkpoint_id: state.checkpoint?.checkpoint_id,
          checkpoint: state.checkpoint,
        });
      },
    }),
    route({
      method: "get",
      path: "/graphs/{graph}/history",
      tag,
      area: "threads",
      summary: "Earlier states of a thread, newest first",
      params,
      query: z.object({ thread_id: threadId, limit: limit.default(10), before: checkpointId.optional() }),
      answers: {
        200: {
          description: "The states",
          schema: z.object({ history: z.array(threadState), count: z.number().int() }),
        },
        ...refusals,
      },
      async handle({ principal, params: { graph }, query, response }) {
        registry.requireLoaded(graph);
        await states.requireThread(principal.tenantId, query.thread_id, graph);
        const history = await states.history(principal.tenantId, query.thread_id, graph, {
          limit: query.limit,
          before: query.before,
        });
        const entries = history.map((state) => ({ ...state, checkpoint_id: state.checkpoint?.checkpoint_id ?? null }));
        response.json({ history: entries, count: entries.length });
      },
    }),
  ];
}
