import * as z from "zod";
import type { EventId } from "@flotilla/shared/events/event-id";
import { lastEventId } from "@flotilla/shared/events/last-event";
import { streamModes } from "@flotilla/shared/protocol/graph-call";
import { checkpointId, runId, threadId } from "@flotilla/shared/protocol/ids";
import { queryFlag, queryList } from "@flotilla/shared/protocol/query";
import { errorBody } from "@flotilla/shared/protocol/responses";
import { storableText } from "@flotilla/shared/protocol/text";
import { isFinal, type Run } from "@flotilla/shared/runs/run";
import { getRunById } from "@flotilla/shared/runs/run-queries";
import type { Gateway } from "../gateway.ts";
import { route, type Route, type RouteContext } from "../http/route.ts";
import { runPath } from "./answer-run.ts";
import { cancelAbandoned } from "./cancel-run.ts";
import { joinRun } from "./join-run.ts";
import { requireRun, requireRunById } from "./require-run.ts";
import { parseCursor, streamRun, supplyEndOfOldRun } from "./stream-run.ts";

/** Following a run that somebody has submitted: its events, or its final state. AGENT_SERVER_API sections 5.2 and 7. */

const tag = "runs";
const ofThread = z.object({ thread_id: threadId, run_id: runId });
const alone = z.object({ run_id: runId });
const missing = { 404: { description: "There is no such thread or run", schema: errorBody } };
const LAST_EVENT_ID = { "Last-Event-ID": "The id of the last event that was seen: only what comes after it is sent" };
const events = {
  200: { description: "Server-Sent Events: what is kept, then what comes", contentType: "text/event-stream" },
};
const finalState = { 200: { description: 'The final state; {"__error__": …} for a run that failed' } };

const streamQuery = z.object({
  stream_mode: queryList(z.union([streamModes, z.literal("lifecycle")])).optional(),
  cancel_on_disconnect: queryFlag.optional(),
  // Newer clients may send these, and do not rely on them unless `/info` promises it: all of the stream is sent.
  namespace: queryList(storableText.max(2_000)).optional(),
  checkpoint_id: checkpointId.optional(),
});
type StreamContext = RouteContext<unknown, z.output<typeof streamQuery>, unknown>;

const joinQuery = z.object({ cancel_on_disconnect: queryFlag.optional() });
type JoinContext = RouteContext<unknown, z.output<typeof joinQuery>, unknown>;

export function followRoutes(gateway: Gateway): Route[] {
  const { pool } = gateway;

  return [
    route({
      method: "get",
      path: "/threads/{thread_id}/runs/{run_id}/stream",
      tag,
      summary: "Join a run's stream; with Last-Event-ID, after that event",
      params: ofThread,
      query: streamQuery,
      headers: LAST_EVENT_ID,
      answers: { ...events, ...missing },
      async handle(context) {
        const run = await requireRun(pool, context.principal.tenantId, context.params);
        await follow(gateway, context, run, runPath({ threadId: run.thread_id, runId: run.run_id }));
      },
    }),
    route({
      method: "get",
      path: "/runs/{run_id}/stream",
      tag,
      summary: "Join the stream of a run without a thread; empty when the run is erased already",
      params: alone,
      query: streamQuery,
      headers: LAST_EVENT_ID,
      answers: events,
      async handle(context) {
        const { params, principal, response } = context;
        const run = await getRunById(pool, principal.tenantId, params.run_id);
        const path = `/runs/${params.run_id}`;
        if (run !== undefined) return follow(gateway, context, run, path);
        gateway.streams.open(response, { "content-location": gateway.mountPrefix + path }).end();
      },
    }),
    route({
      method: "get",
      path: "/threads/{thread_id}/runs/{run_id}/join",
      tag,
      summary: "Wait for a run's end and get its final state",
      params: ofThread,
      query: joinQuery,
      answers: { ...finalState, ...missing },
      async handle(context) {
        await join(gateway, context, await requireRun(pool, context.principal.tenantId, context.params));
      },
    }),
    route({
      method: "get",
      path: "/runs/{run_id}/join",
      tag,
      summary: "Wait for the end of a run without a thread and get its final state",
      params: alone,
      query: joinQuery,
      answers: { ...finalState, ...missing },
      async handle(context) {
        const { params, principal } = context;
        await join(gateway, context, await requireRunById(pool, principal.tenantId, params.run_id));
      },
    }),
  ];
}

async function follow(gateway: Gateway, context: StreamContext, run: Run, path: string): Promise<void> {
  const { principal, query, request, response } = context;
  const { tenantId } = principal;
  const address = { tenantId, threadId: run.thread_id, runId: run.run_id };
  if (request.method === "HEAD") return void response.set("content-type", "text/event-stream").end();
  await supplyEndOfOldRun(gateway, tenantId, run);
  const after = await startOf(gateway, run, request.get("last-event-id"));
  const tail = await gateway.tails.open(run.run_id, tenantId);
  const location = `${runPath(address)}/stream`;
  const sse = gateway.streams.open(response, { "content-location": gateway.mountPrefix + path, location });
  await streamRun(gateway, tail, sse, { ...address, after, modes: query.stream_mode });
  if (sse.clientLeft && query.cancel_on_disconnect === true) await cancelAbandoned(gateway, address);
}

/**
 * Where a client begins: after the event that it names. One that names none gets what comes from now on, as clients of the
 * Agent Server expect of the runs that they make; of a run that has ended, and of one made through the small dialect, whose
 * joins promise it, all that is kept.
 */
async function startOf({ redis, prefix }: Gateway, run: Run, header: string | undefined): Promise<EventId | undefined> {
  if (header !== undefined || run.kwargs.resumable === undefined || isFinal(run.status))
    return parseCursor(header, run.attempt);
  return lastEventId(redis, prefix, run.run_id);
}

async function join(gateway: Gateway, context: JoinContext, run: Run): Promise<void> {
  const { principal, query, request, response, clientGone } = context;
  const address = { tenantId: principal.tenantId, threadId: run.thread_id, runId: run.run_id };
  if (request.method === "HEAD") return void response.type("json").end();
  response.setHeader("content-location", gateway.mountPrefix + runPath(address));
  response.setHeader("location", `${runPath(address)}/join`);
  const ended = await joinRun(gateway, response, address, clientGone);
  if (!ended && query.cancel_on_disconnect === true) await cancelAbandoned(gateway, address);
}
