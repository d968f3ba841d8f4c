import * as z from "zod";
import { NotFound } from "@flotilla/shared/errors";
import { runId, threadId } from "@flotilla/shared/protocol/ids";
import { limit, offset, queryFlag, queryJson, queryList } from "@flotilla/shared/protocol/query";
import { cancelRunsBody } from "@flotilla/shared/protocol/run-body";
import { storableText } from "@flotilla/shared/protocol/text";
import { errorBody, runBody, runStatus } from "@flotilla/shared/protocol/responses";
import { listRuns } from "@flotilla/shared/runs/run-queries";
import type { Gateway } from "../gateway.ts";
import { route, type Route } from "../http/route.ts";
import { selectFields } from "../http/select-fields.ts";
import { visibleRun } from "./render-run.ts";
import { requireRun } from "./require-run.ts";
import { cancelActiveRuns, cancelRun, cancelRuns, deleteRun } from "./cancel-run.ts";
import { listenForEnd } from "./wait-for-run.ts";

/** Runs that were submitted, for both dialects: list, poll, cancel, erase. AGENT_SERVER_API section 5.2. */

const tag = "runs";
const thread = z.object({ thread_id: threadId });
const run = z.object({ thread_id: threadId, run_id: runId });
const missing = { 404: { description: "There is no such thread or run", schema: errorBody } };

export function runRoutes(gateway: Gateway): Route[] {
  const { pool, states } = gateway;

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
          (await listRuns(pool, tenantId, thread_id, query)).map((found) =>
            selectFields(visibleRun(found), query.select),
          ),
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
        response.json(visibleRun(await requireRun(pool, principal.tenantId, params)));
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
      method: "post",
      path: "/runs/cancel",
      tag,
      summary: "Cancel several runs: those of a status, or some of a thread",
      query: z.object({ action: z.enum(["interrupt", "rollback"]).default("interrupt") }),
      body: cancelRunsBody,
      answers: { 204: { description: "The cancels are recorded" }, ...missing },
      async handle({ principal: { tenantId }, query, body, response }) {
        const { status, thread_id: threadId, run_ids: runIds } = body;
        const found =
          threadId !== undefined && runIds !== undefined
            ? await cancelRuns(gateway, { tenantId, threadId, runIds }, query.action)
            : await cancelActiveRuns(gateway, tenantId, status ?? "all", query.action);
        if (found === 0) throw new NotFound("run", "There is no such run");
        response.status(204).end();
      },
    }),
    route({
      method: "delete",
      path: "/threads/{thread_id}/runs/{run_id}",
      tag,
      summary: "Erase a run that has ended, with its checkpoints and events",
      params: run,
      answers: {
        204: { description: "Erased" },
        409: { description: "The run is active; cancel it first", schema: errorBody },
        ...missing,
      },
      async handle({ principal: { tenantId }, params, response }) {
        await deleteRun(gateway, { tenantId, threadId: params.thread_id, runId: params.run_id });
        response.status(204).end();
      },
    }),
  ];
}
