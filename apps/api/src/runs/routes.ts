import * as z from "zod";
import { NotFound } from "@flotilla/shared/errors";
import { streamModes } from "@flotilla/shared/protocol/graph-call";
import { runId, threadId } from "@flotilla/shared/protocol/ids";
import { limit, offset, queryFlag, queryJson, queryList } from "@flotilla/shared/protocol/query";
import { storableText } from "@flotilla/shared/protocol/text";
import { errorBody, runBody, runStatus } from "@flotilla/shared/protocol/responses";
import { getRun, listRuns } from "@flotilla/shared/runs/run-queries";
import type { Run } from "@flotilla/shared/runs/run";
import type { Gateway } from "../gateway.ts";
import { selectFields } from "../http/page.ts";
import { route, type Route } from "../http/route.ts";
import { runPath } from "./answer-run.ts";
import { cancelAbandoned, cancelRun, deleteThread } from "./cancel-run.ts";
import { joinRun } from "./join-run.ts";
import { parseCursor, streamRun, supplyEndOfOldRun } from "./stream-run.ts";
import { listenForEnd } from "./wait-for-run.ts";

/** Runs of a thread, for both dialects: list, poll, follow, wait, cancel. AGENT_SERVER_API sections 5.2 and 7. */

const tag = "runs";
const thread = z.object({ thread_id: threadId });
const run = z.object({ thread_id: threadId, run_id: runId });
const missing = { 404: { description: "There is no such thread or run", schema: errorBody } };

export function runRoutes(gateway: Gateway): Route[] {
  const { pool, states, streams, tails } = gateway;

  async function requireRun(tenantId: string, { thread_id, run_id }: z.output<typeof run>): Promise<Run> {
    const found = await getRun(pool, tenantId, thread_id, run_id);
    if (found === undefined) throw new NotFound("run", `Run ${run_id} does not exist on thread "${thread_id}"`);
    return found;
  }

  return [
    route({
      method: "get",
      path: "/threads/{thread_id}/runs",
      tag,
      summary: "Runs of a thread, newest first",
      params: thread,
      query: z.object({
        limit: limit.default(10),
        offset: offset.default(0),
        status: z.preprocess((value) => value || undefined, runStatus.optional()),
        metadata: queryJson.optional(),
        select: queryList(storableText.max(64)).optional(),
      }),
      answers: { 200: { description: "The runs", schema: z.array(runBody) }, ...missing },
      async handle({ principal: { tenantId }, params: { thread_id }, query, response }) {
        await states.requireThread(tenantId, thread_id);
        response.json(
          (await listRuns(pool, tenantId, thread_id, query)).map((found) => selectFields(visible(found), query.select)),
        );
      },
    }),
    route({
      method: "get",
      path: "/threads/{thread_id}/runs/{run_id}",
      tag,
      summary: "A run, for polling",
      params: run,
      answers: { 200: { description: "The run", schema: runBody }, ...missing },
      async handle({ principal, params, response }) {
        response.json(visible(await requireRun(principal.tenantId, params)));
      },
    }),
    route({
      method: "get",
      path: "/threads/{thread_id}/runs/{run_id}/stream",
      tag,
      summary: "Join a run's stream; with Last-Event-ID, after that event",
      params: run,
      query: z.object({ stream_mode: queryList(streamModes).optional(), cancel_on_disconnect: queryFlag.optional() }),
      headers: { "Last-Event-ID": "The id of the last event that was seen: only what comes after it is sent" },
      answers: {
        200: { description: "Server-Sent Events: what is kept, then what comes", contentType: "text/event-stream" },
        ...missing,
      },
      async handle({ principal: { tenantId }, params, query, request, response }) {
        const found = await requireRun(tenantId, params);
        if (request.method === "HEAD") return void response.set("content-type", "text/event-stream").end();
        await supplyEndOfOldRun(gateway, tenantId, found);
        const tail = await tails.open(params.run_id, tenantId);
        const path = runPath({ threadId: params.thread_id, runId: params.run_id });
        const sse = streams.open(response, { "content-location": path, location: `${path}/stream` });
        const after = parseCursor(request.get("last-event-id"), found.attempt);
        await streamRun(gateway, tail, sse, {
          tenantId,
          threadId: params.thread_id,
          runId: params.run_id,
          after,
          modes: query.stream_mode,
        });
        if (sse.clientLeft && query.cancel_on_disconnect === true) {
          await cancelAbandoned(gateway, { tenantId, threadId: params.thread_id, runId: params.run_id });
        }
      },
    }),
    route({
      method: "get",
      path: "/threads/{thread_id}/runs/{run_id}/join",
      tag,
      summary: "Wait for a run's end and get its final state",
      params: run,
      query: z.object({ cancel_on_disconnect: queryFlag.optional() }),
      answers: { 200: { description: 'The final state; {"__error__": …} for a run that failed' }, ...missing },
      async handle({ principal: { tenantId }, params, query, request, response, clientGone }) {
        await requireRun(tenantId, params);
        if (request.method === "HEAD") return void response.type("json").end();
        const ended = await joinRun(gateway, response, { tenantId, ...params }, clientGone);
        if (!ended && query.cancel_on_disconnect === true) {
          await cancelAbandoned(gateway, { tenantId, threadId: params.thread_id, runId: params.run_id });
        }
      },
    }),
    route({
      method: "post",
      path: "/threads/{thread_id}/runs/{run_id}/cancel",
      tag,
      summary: "Cancel a run",
      params: run,
      query: z.object({
        wait: queryFlag.optional(),
        action: z.enum(["interrupt", "rollback"]).default("interrupt"),
        reason: storableText.max(1000).optional(),
      }),
      answers: {
        202: { description: "The cancel is recorded" },
        204: { description: "The run has stopped (wait=1)" },
        ...missing,
      },
      async handle({ principal: { tenantId }, params, query, response, clientGone }) {
        const address = { tenantId, threadId: params.thread_id, runId: params.run_id };
        const wait = query.wait === true ? listenForEnd(gateway, params.run_id, true) : undefined;
        const ended = await cancelRun(gateway, address, query.action, query.reason).catch((error: unknown) => {
          wait?.close();
          throw error;
        });
        if (wait === undefined) return void response.status(202).end();
        if (ended) wait.close();
        const stopped = ended || (await wait.end(tenantId, clientGone)) !== undefined;
        response.status(stopped ? 204 : 202).end();
      },
    }),
    route({
      method: "delete",
      path: "/threads/{thread_id}",
      tag: "threads",
      summary: "Erase a thread with its runs, checkpoints and events",
      params: thread,
      answers: { 204: { description: "Erased" }, ...missing },
      async handle({ principal, params, response }) {
        await deleteThread(gateway, principal.tenantId, params.thread_id);
        response.status(204).end();
      },
    }),
  ];
}

/** A run as clients see it. */
function visible({ tenant_id: _tenant, kwargs: { listening: _listening, ...kwargs }, story, ...run }: Run): object {
  return { ...run, kwargs, story: story.map(({ holder: _holder, ...chapter }) => chapter) };
}
