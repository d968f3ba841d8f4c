import * as z from "zod";
import {
  deadLetterList,
  deadLetterStory,
  listDeadLettersQuery,
  replayBody,
  replayed,
  replayManyBody,
  replayReport,
} from "@flotilla/shared/protocol/dead-letter-body";
import { runId } from "@flotilla/shared/protocol/ids";
import { errorBody } from "@flotilla/shared/protocol/responses";
import type { Gateway } from "../gateway.ts";
import { route, type Route } from "../http/route.ts";
import { runPath } from "../runs/answer-run.ts";
import { acknowledge, findDeadLetters, replay, replayMany, requireDeadLetter } from "./dead-letters.ts";
import { visibleDeadLetter, visibleSummary } from "./render-dead-letter.ts";

/** Runs that ended because they could not be executed: list, look at, replay, acknowledge. */

const tag = "dead letters";
const area = "runs";
const params = z.object({ run_id: runId });
const missing = { 404: { description: "There is no such dead letter", schema: errorBody } };

export function deadLetterRoutes(gateway: Gateway): Route[] {
  return [
    route({
      method: "get",
      path: "/dead-letters",
      tag,
      area,
      summary: "Runs that ended because they could not be executed, newest first",
      query: listDeadLettersQuery,
      answers: { 200: { description: "Those that nobody has acknowledged", schema: deadLetterList } },
      async handle({ principal: { tenantId }, query, response }) {
        const { graph_id: graphId, limit, cursor: after, ...filter } = query;
        const page = { order: "newest" as const, after, limit };
        const { found, next } = await findDeadLetters(gateway, tenantId, { ...filter, graphId }, page);
        response.json({ dead_letters: found.map(visibleSummary), next });
      },
    }),
    route({
      method: "get",
      path: "/dead-letters/{run_id}",
      tag,
      area,
      summary: "A dead letter with its attempts, its last checkpoint, its last log lines and what was asked",
      params,
      answers: { 200: { description: "The dead letter", schema: deadLetterStory }, ...missing },
      async handle({ principal: { tenantId }, params: { run_id }, response }) {
        response.json(visibleDeadLetter(await requireDeadLetter(gateway, tenantId, run_id)));
      },
    }),
    route({
      method: "post",
      path: "/dead-letters/replay",
      tag,
      area,
      summary: "Replay many dead letters, oldest first",
      body: replayManyBody,
      answers: { 200: { description: "What was replayed, and what was refused and why", schema: replayReport } },
      async handle({ principal: { tenantId }, body, response }) {
        response.json(await replayMany(gateway, tenantId, body));
      },
    }),
    route({
      method: "post",
      path: "/dead-letters/{run_id}/replay",
      tag,
      area,
      summary: "Make a new run in place of a dead letter",
      params,
      body: replayBody,
      answers: {
        202: { description: "The new run was accepted", schema: replayed },
        409: { description: "Its thread does not allow it, or it was replayed already", schema: errorBody },
        ...missing,
      },
      async handle({ principal: { tenantId }, params: { run_id }, body: { from, force = false }, response }) {
        const made = await replay(gateway, tenantId, run_id, { from, force });
        const location = gateway.mountPrefix + runPath({ runId: made.run_id, threadId: made.thread_id });
        response.status(202).set({ location, "content-location": location }).json(made);
      },
    }),
    route({
      method: "delete",
      path: "/dead-letters/{run_id}",
      tag,
      area,
      summary: "Acknowledge a dead letter: it leaves the list, the run stays",
      params,
      answers: { 204: { description: "Acknowledged" }, ...missing },
      async handle({ principal: { tenantId }, params: { run_id }, response }) {
        await acknowledge(gateway, tenantId, run_id);
        response.status(204).end();
      },
    }),
  ];
}
