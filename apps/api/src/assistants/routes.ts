import * as z from "zod";
import type { CompiledGraph } from "@flotilla/shared/graphs/graph-registry";
import { ThreadSaver } from "@flotilla/shared/graphs/checkpoints/thread-saver";
import {
  assistantBody,
  assistantId,
  assistantVersionBody,
  countAssistantsBody,
  createAssistantBody,
  drawnGraph,
  graphSchemas,
  listVersionsBody,
  namespace,
  recurse,
  searchAssistantsBody,
  setLatestBody,
  subgraphSchemas,
  updateAssistantBody,
  xray,
  type AssistantFilterBody,
} from "@flotilla/shared/protocol/assistant-body";
import { queryFlag } from "@flotilla/shared/protocol/query";
import { errorBody } from "@flotilla/shared/protocol/responses";
import type { Assistant, AssistantFilter } from "@flotilla/shared/assistants/assistant";
import { clientConfigurable } from "@flotilla/shared/runs/configurable";
import type { Gateway } from "../gateway.ts";
import { bindGraph } from "../graphs/bind-graph.ts";
import { setPagination } from "../http/page.ts";
import { selectFields } from "../http/select-fields.ts";
import { route, type Route, type RouteContext } from "../http/route.ts";
import { deleteAssistantOf } from "./delete-assistant.ts";
import { drawGraph, subgraphsOf } from "./draw-graph.ts";
import { isWhole, runtimeSchemas, withSource } from "./graph-schemas.ts";

/** Assistants of the Agent Server API, section 3. */

const tag = "assistants";
const params = z.object({ assistant_id: assistantId });
const error = (description: string) => ({ description, schema: errorBody });
const missing = { 404: error("There is no such assistant") };
const unusable = {
  ...missing,
  503: error("The graph could not be loaded (`graph_not_loaded`), or Postgres does not answer (`unavailable`)"),
};

export function assistantRoutes(gateway: Gateway): Route[] {
  const { assistants, registry, sourceSchemas, pool } = gateway;

  /** The graph as a run of the assistant would have it, if the same request asked for one. */
  async function bound({ principal: { tenantId }, params, request }: OfAssistant): Promise<BoundAssistant> {
    const assistant = await assistants.require(tenantId, params.assistant_id);
    const { configurable } = assistant.config as { configurable?: Record<string, unknown> };
    const { assistant_id, graph_id, context } = assistant;
    const said = clientConfigurable({ ...configurable, ...gateway.configurableHeaders.of(request.headers) });
    const config = { configurable: { ...said, assistant_id, graph_id }, context };
    const saver = new ThreadSaver(pool, tenantId);
    return { assistant, graph: await bindGraph(registry, graph_id, saver, config, "assistants.read") };
  }

  async function sendSubgraphs(context: SubgraphsContext, at?: string): Promise<void> {
    const { query, response } = context;
    const { graph } = await bound(context);
    const found = await subgraphsOf(graph, { namespace: at, recurse: query.recurse === true });
    response.json(Object.fromEntries(found.map(([name, subgraph]) => [name, runtimeSchemas(subgraph)])));
  }

  return [
    route({
      method: "post",
      path: "/assistants",
      tag,
      summary: "Make an assistant: a graph with a config",
      body: createAssistantBody,
      answers: {
        200: { description: "The assistant", schema: assistantBody },
        404: error("There is no such graph"),
        409: error("An assistant of this id exists already"),
      },
      async handle({ principal: { tenantId }, body, response }) {
        const made = await assistants.create(tenantId, {
          assistantId: body.assistant_id,
          graphId: body.graph_id,
          name: body.name === "" ? body.graph_id : (body.name ?? "Untitled"),
          description: body.description ?? null,
          config: body.config ?? {},
          context: body.context ?? {},
          metadata: body.metadata ?? {},
          ifExists: body.if_exists ?? "raise",
        });
        response.json(made);
      },
    }),
    route({
      method: "post",
      path: "/assistants/search",
      tag,
      summary: "Assistants that match, newest first",
      body: searchAssistantsBody,
      answers: {
        200: {
          description:
            "A page of them. X-Pagination-Total: how many match. X-Pagination-Next: where the next page begins",
          schema: z.array(assistantBody.partial()),
        },
      },
      async handle({ principal: { tenantId }, body, response }) {
        const { limit, offset, select } = body;
        const filter = filterOf(body);
        const page = { limit, offset, sortBy: body.sort_by ?? "created_at", sortOrder: body.sort_order ?? "desc" };
        const found = await assistants.search(tenantId, filter, page);
        const matching = await assistants.count(tenantId, filter);
        setPagination(response, { matching, offset, returned: found.length });
        response.json(found.map((assistant) => selectFields(assistant, select)));
      },
    }),
    route({
      method: "post",
      path: "/assistants/count",
      tag,
      summary: "How many assistants match",
      body: countAssistantsBody,
      answers: { 200: { description: "The number", schema: z.number().int() } },
      async handle({ principal: { tenantId }, body, response }) {
        response.json(await assistants.count(tenantId, filterOf(body)));
      },
    }),
    route({
      method: "get",
      path: "/assistants/{assistant_id}",
      tag,
      summary: "An assistant",
      params,
      answers: { 200: { description: "The assistant", schema: assistantBody }, ...missing },
      async handle({ principal, params: { assistant_id }, response }) {
        response.json(await assistants.require(principal.tenantId, assistant_id));
      },
    }),
    route({
      method: "patch",
      path: "/assistants/{assistant_id}",
      tag,
      summary: "Make a new version of an assistant: metadata is merged, the rest replaced",
      params,
      body: updateAssistantBody,
      answers: {
        200: { description: "The assistant", schema: assistantBody },
        404: error("There is no such assistant, or no such graph"),
      },
      async handle({ principal, params: { assistant_id }, body, response }) {
        const { graph_id: graphId, name, description, config, context, metadata } = body;
        const change = { graphId, name, description, config, context, metadata };
        response.json(await assistants.update(principal.tenantId, assistant_id, change));
      },
    }),
    route({
      method: "delete",
      path: "/assistants/{assistant_id}",
      tag,
      summary: "Delete an assistant with its versions; the default one of a graph is made anew",
      params,
      query: z.object({
        delete_threads: queryFlag.optional().describe("also the threads whose metadata.assistant_id names it"),
      }),
      answers: {
        204: { description: "It is deleted" },
        ...missing,
        409: error("A thread keeps getting runs"),
      },
      async handle({ principal, params: { assistant_id }, query, response }) {
        const deleteThreads = query.delete_threads === true;
        await deleteAssistantOf(gateway, principal.tenantId, assistant_id, { deleteThreads });
        response.status(204).end();
      },
    }),
    route({
      method: "post",
      path: "/assistants/{assistant_id}/versions",
      tag,
      summary: "Versions of an assistant, newest first",
      params,
      body: listVersionsBody,
      answers: { 200: { description: "The versions", schema: z.array(assistantVersionBody) }, ...missing },
      async handle({ principal, params: { assistant_id }, body, response }) {
        response.json(await assistants.versions(principal.tenantId, assistant_id, body));
      },
    }),
    route({
      method: "post",
      path: "/assistants/{assistant_id}/latest",
      tag,
      summary: "Go back to a version",
      params,
      body: setLatestBody,
      answers: {
        200: { description: "The assistant as that version says", schema: assistantBody },
        404: error("There is no such assistant, or no such version of it"),
      },
      async handle({ principal, params: { assistant_id }, body, response }) {
        response.json(await assistants.setLatest(principal.tenantId, assistant_id, body.version));
      },
    }),
    route({
      method: "get",
      path: "/assistants/{assistant_id}/graph",
      tag,
      summary: "The assistant's graph, to be drawn",
      params,
      query: z.object({ xray: xray.optional() }),
      answers: { 200: { description: "Nodes and edges", schema: drawnGraph }, ...unusable },
      async handle(context) {
        const { graph } = await bound(context);
        context.response.json(await drawGraph(graph, context.query.xray ?? false));
      },
    }),
    route({
      method: "get",
      path: "/assistants/{assistant_id}/schemas",
      tag,
      summary: "JSON Schemas of the graph's state, input, output and context",
      params,
      answers: { 200: { description: "The schemas", schema: graphSchemas }, ...unusable },
      async handle(context) {
        const { assistant, graph } = await bound(context);
        const known = runtimeSchemas(graph);
        const source = isWhole(known) ? undefined : await sourceSchemas.of(assistant.graph_id);
        context.response.json({ graph_id: assistant.graph_id, ...withSource(known, source) });
      },
    }),
    route({
      method: "get",
      path: "/assistants/{assistant_id}/subgraphs",
      tag,
      summary: "Schemas of the graph's subgraphs, by namespace",
      params,
      query: subgraphsQuery,
      answers: subgraphsAnswers,
      handle: (context) => sendSubgraphs(context),
    }),
    route({
      method: "get",
      path: "/assistants/{assistant_id}/subgraphs/{namespace}",
      tag,
      summary: "Schemas of the subgraph at a namespace",
      params: params.extend({ namespace }),
      query: subgraphsQuery,
      answers: subgraphsAnswers,
      handle: (context) => sendSubgraphs(context, context.params.namespace),
    }),
  ];
}

const subgraphsQuery = z.object({ recurse: recurse.optional() });
const subgraphsAnswers = {
  200: { description: "Namespace to schemas; empty when there is none", schema: z.record(z.string(), subgraphSchemas) },
  ...unusable,
};
type OfAssistant = RouteContext<z.output<typeof params>, unknown, unknown>;
type BoundAssistant = { assistant: Assistant; graph: CompiledGraph };
type SubgraphsContext = RouteContext<z.output<typeof params>, z.output<typeof subgraphsQuery>, unknown>;

function filterOf({ metadata, graph_id: graphId, name }: AssistantFilterBody): AssistantFilter {
  return { metadata, graphId, name };
}
