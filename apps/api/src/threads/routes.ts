import * as z from "zod";
import { BadRequest } from "@flotilla/shared/errors";
import { checkpointId, threadId } from "@flotilla/shared/protocol/ids";
import { limit, queryFlag, queryList } from "@flotilla/shared/protocol/query";
import { errorBody, threadBody, threadState } from "@flotilla/shared/protocol/responses";
import { storableText } from "@flotilla/shared/protocol/text";
import {
  countThreadsBody,
  createThreadBody,
  historyBody,
  includeQuery,
  patchThreadBody,
  pruneThreadsBody,
  searchThreadsBody,
  stateAtBody,
  updateThreadStateBody,
} from "@flotilla/shared/protocol/thread-body";
import { countThreads } from "@flotilla/shared/threads/thread-search-queries";
import type { Gateway } from "../gateway.ts";
import { setPagination } from "../http/page.ts";
import { route, type Route } from "../http/route.ts";
import { deleteThread } from "../runs/cancel-run.ts";
import { EMPTY_STATE, type ThreadState } from "./render-state.ts";
import { selectFields } from "../http/select-fields.ts";
import type { CheckpointPlace } from "./thread-state.ts";
import { streamThread } from "./thread-stream.ts";
import {
  changeThread,
  createThread,
  duplicateThread,
  findThreads,
  pruneThreads,
  requireThreadRow,
  visibleThread,
  visibleTtl,
} from "./threads.ts";

/** Threads and their state by the Agent Server API, section 4. */

const tag = "threads";
const thread = z.object({ thread_id: threadId });
const select = queryList(storableText.max(256)).optional();
const error = (description: string) => ({ description, schema: errorBody });
const missing = { 404: error("There is no such thread") };
const shown = { 200: { description: "The thread", schema: threadBody }, ...missing };
const state = {
  200: { description: "The state", schema: threadState },
  404: error("There is no such thread or checkpoint"),
};
const history = { 200: { description: "The states, newest first", schema: z.array(threadState) }, ...missing };
const DEFAULT_LIMIT = 10;
/** SDKs call the parameter `stream_mode`, the published description `stream_modes`. */
const threadModes = queryList(z.enum(["run_modes", "lifecycle", "state_update"])).optional();

export function threadRoutes(gateway: Gateway): Route[] {
  const { pool, states } = gateway;

  /** The graph of a thread; undefined when no run and nobody else has said which. */
  async function graphOf(tenantId: string, id: string): Promise<string | undefined> {
    const { graph_id: graphId } = await requireThreadRow(gateway, tenantId, id);
    if (graphId !== null) gateway.registry.requireLoaded(graphId);
    return graphId ?? undefined;
  }

  async function readState(
    tenantId: string,
    id: string,
    place: CheckpointPlace & { subgraphs?: boolean | undefined },
  ): Promise<ThreadState> {
    const graphId = await graphOf(tenantId, id);
    return graphId === undefined ? EMPTY_STATE : states.read(tenantId, id, graphId, place);
  }

  return [
    route({
      method: "post",
      path: "/threads",
      tag,
      summary: "Make a thread",
      body: createThreadBody,
      answers: {
        200: { description: "The thread", schema: threadBody },
        400: error("Super-steps without a graph"),
        409: error("The thread exists"),
      },
      async handle({ principal: { tenantId }, body, response }) {
        const { metadata = {}, supersteps = [], ttl } = body;
        if (supersteps.length > 0) {
          const { graph_id: graphId } = metadata;
          if (typeof graphId !== "string")
            throw new BadRequest("supersteps need metadata.graph_id: it says which graph applies them");
          gateway.registry.requireLoaded(graphId);
        }
        const { thread_id: threadId, if_exists: ifExists = "raise" } = body;
        const made = await createThread(gateway, tenantId, { threadId, metadata, ifExists, ttl, supersteps });
        response.json(visibleThread(made));
      },
    }),
    route({
      method: "post",
      path: "/threads/search",
      tag,
      summary: "Find threads by metadata, values, status or ids",
      body: searchThreadsBody,
      answers: { 200: { description: "The threads", schema: z.array(threadBody) } },
      async handle({ principal: { tenantId }, body, response }) {
        const { threads, matching } = await findThreads(gateway, tenantId, body);
        setPagination(response, { matching, offset: body.offset ?? 0, returned: threads.length });
        const fields = body.select === undefined ? undefined : [...body.select, "extracted"];
        response.json(threads.map((one) => selectFields(one, fields)));
      },
    }),
    route({
      method: "post",
      path: "/threads/count",
      tag,
      summary: "Count threads",
      body: countThreadsBody,
      answers: { 200: { description: "How many", schema: z.number().int() } },
      async handle({ principal: { tenantId }, body, response }) {
        response.json(await countThreads(pool, tenantId, body));
      },
    }),
    route({
      method: "post",
      path: "/threads/prune",
      tag,
      summary: "Erase threads, or all of their history but the latest state",
      body: pruneThreadsBody,
      answers: { 200: { description: "How many", schema: z.object({ pruned_count: z.number().int() }) } },
      async handle({ principal: { tenantId }, body, response }) {
        const pruned = await pruneThreads(gateway, tenantId, body.thread_ids, body.strategy ?? "delete");
        response.json({ pruned_count: pruned });
      },
    }),
    route({
      method: "get",
      path: "/threads/{thread_id}",
      tag,
      summary: "A thread",
      params: thread,
      query: z.object({ include: includeQuery.optional().describe("`ttl`: also the time to live") }),
      answers: shown,
      async handle({ principal: { tenantId }, params, query, response }) {
        const row = await requireThreadRow(gateway, tenantId, params.thread_id);
        const ttl = query.include?.includes("ttl") === true ? { ttl: visibleTtl(row) } : {};
        response.json({ ...visibleThread(row), ...ttl });
      },
    }),
    route({
      method: "patch",
      path: "/threads/{thread_id}",
      tag,
      summary: "Merge metadata into a thread's; with Prefer: return=minimal, without a body in the answer",
      params: thread,
      headers: { Prefer: "return=minimal" },
      body: patchThreadBody,
      answers: { ...shown, 204: { description: "Changed (Prefer: return=minimal)" } },
      async handle({ principal: { tenantId }, params, body, request, response }) {
        const changed = await changeThread(gateway, tenantId, params.thread_id, {
          metadata: body.metadata ?? {},
          ttl: body.ttl,
        });
        if (/\breturn=minimal\b/.test(request.get("prefer") ?? "")) response.status(204).end();
        else response.json(visibleThread(changed));
      },
    }),
    route({
      method: "delete",
      path: "/threads/{thread_id}",
      tag,
      summary: "Erase a thread with its runs, checkpoints and events",
      params: thread,
      answers: { 204: { description: "Erased" }, ...missing },
      async handle({ principal, params, response }) {
        await deleteThread(gateway, principal.tenantId, params.thread_id);
        response.status(204).end();
      },
    }),
    route({
      method: "post",
      path: "/threads/{thread_id}/copy",
      tag,
      summary: "Copy a thread with its whole history and the questions that wait",
      params: thread,
      answers: shown,
      async handle({ principal: { tenantId }, params, response }) {
        response.json(visibleThread(await duplicateThread(gateway, tenantId, params.thread_id)));
      },
    }),
    route({
      method: "get",
      path: "/threads/{thread_id}/state",
      tag,
      summary: "The latest state of a thread",
      params: thread,
      query: z.object({ subgraphs: queryFlag.optional(), select }),
      answers: state,
      async handle({ principal: { tenantId }, params, query, response }) {
        response.json(
          selectFields(await readState(tenantId, params.thread_id, { subgraphs: query.subgraphs }), query.select),
        );
      },
    }),
    route({
      method: "get",
      path: "/threads/{thread_id}/state/{checkpoint_id}",
      tag,
      summary: "The state at a checkpoint",
      params: thread.extend({ checkpoint_id: checkpointId }),
      query: z.object({ subgraphs: queryFlag.optional(), select }),
      answers: state,
      async handle({ principal: { tenantId }, params, query, response }) {
        const place = { checkpointId: params.checkpoint_id, subgraphs: query.subgraphs };
        response.json(selectFields(await readState(tenantId, params.thread_id, place), query.select));
      },
    }),
    route({
      method: "post",
      path: "/threads/{thread_id}/state/checkpoint",
      tag,
      summary: "The state at a checkpoint, also of a subgraph",
      params: thread,
      body: stateAtBody,
      answers: state,
      async handle({ principal: { tenantId }, params, body, response }) {
        const place = { ...placeOf(body.checkpoint), subgraphs: body.subgraphs };
        response.json(selectFields(await readState(tenantId, params.thread_id, place), body.select));
      },
    }),
    route({
      method: "post",
      path: "/threads/{thread_id}/state",
      tag,
      summary: "Edit the state of a thread that is at rest",
      params: thread,
      body: updateThreadStateBody,
      answers: {
        200: { description: "The new checkpoint" },
        400: error("Nothing says which graph the thread is of"),
        404: error("There is no such thread or checkpoint"),
        409: error("A run of the thread is active"),
        422: error("The graph does not take the update"),
      },
      async handle({ principal: { tenantId }, params: { thread_id }, body, response }) {
        const graphId = await graphOf(tenantId, thread_id);
        if (graphId === undefined)
          throw new BadRequest(`Thread "${thread_id}" has no graph yet: nothing can take the update`);
        const place = placeOf(body.checkpoint ?? { checkpoint_id: body.checkpoint_id });
        const values = body.values ?? null;
        const edited = await states.update({
          tenantId,
          threadId: thread_id,
          graphId,
          values,
          asNode: body.as_node,
          ...place,
        });
        response.json({ checkpoint: edited.checkpoint, configurable: edited.checkpoint });
      },
    }),
    route({
      method: "get",
      path: "/threads/{thread_id}/stream",
      tag,
      summary: "Follow a thread: the events of its runs, past the end of each",
      params: thread,
      query: z.object({ stream_mode: threadModes, stream_modes: threadModes }),
      headers: { "Last-Event-ID": "The id of the last event that was seen; `-` is the beginning" },
      answers: { 200: { description: "Server-Sent Events", contentType: "text/event-stream" }, ...missing },
      async handle({ principal: { tenantId }, params: { thread_id }, query, request, response }) {
        await requireThreadRow(gateway, tenantId, thread_id);
        if (request.method === "HEAD") return void response.set("content-type", "text/event-stream").end();
        const asked = [...(query.stream_mode ?? []), ...(query.stream_modes ?? [])];
        const path = `/threads/${encodeURIComponent(thread_id)}/stream`;
        await streamThread(gateway, gateway.streams.open(response, { location: path }), {
          tenantId,
          threadId: thread_id,
          modes: asked.length === 0 ? ["run_modes"] : asked,
          lastEventId: request.get("last-event-id"),
        });
      },
    }),
    route({
      method: "get",
      path: "/threads/{thread_id}/history",
      tag,
      summary: "Earlier states of a thread, newest first",
      params: thread,
      query: z.object({ limit: limit.default(DEFAULT_LIMIT), before: checkpointId.optional() }),
      answers: history,
      async handle({ principal: { tenantId }, params, query, response }) {
        const graphId = await graphOf(tenantId, params.thread_id);
        response.json(graphId === undefined ? [] : await states.history(tenantId, params.thread_id, graphId, query));
      },
    }),
    route({
      method: "post",
      path: "/threads/{thread_id}/history",
      tag,
      summary: "Earlier states of a thread or of a subgraph, newest first",
      params: thread,
      body: historyBody,
      answers: history,
      async handle({ principal: { tenantId }, params, body, response }) {
        const graphId = await graphOf(tenantId, params.thread_id);
        if (graphId === undefined) return void response.json([]);
        const { limit: most = DEFAULT_LIMIT, before, metadata, checkpoint } = body;
        const page = { ...placeOf(checkpoint), limit: most, before, metadata };
        const found = await states.history(tenantId, params.thread_id, graphId, page);
        response.json(found.map((one) => selectFields(one, body.select)));
      },
    }),
  ];
}

function placeOf(
  address:
    | {
        checkpoint_id?: string | undefined;
        checkpoint_ns?: string | undefined;
        checkpoint_map?: Record<string, string> | undefined;
      }
    | undefined,
): CheckpointPlace {
  return { checkpointId: address?.checkpoint_id, ns: address?.checkpoint_ns, map: address?.checkpoint_map };
}
