import * as z from "zod";
import { absent, callConfig, jsonObject } from "./graph-call.ts";
import { graphId } from "./ids.ts";
import { queryFlag } from "./query.ts";
import { jsonText, storableText } from "./text.ts";

/** Assistants of the Agent Server API, sections 2 and 3. */

/** An assistant's id, or the id of a graph, which stands for its default assistant. */
export const assistantId = storableText.min(1).max(255).meta({ description: "the id of an assistant or of a graph" });

/** Kept as a whole: a graph may look for keys that this server does not know. */
const config = z.looseObject(callConfig.shape);
const name = storableText.max(512);
const description = storableText.max(10_000);
const metadata = absent(jsonObject).meta({ description: "what must be contained in the metadata, at any depth" });
const page = {
  limit: z.preprocess((value) => value ?? undefined, z.number().int().min(1).max(1000).default(10)),
  offset: z.preprocess((value) => value ?? undefined, z.number().int().min(0).max(1_000_000).default(0)),
};
const version = z.number().int().min(1).max(2_147_483_647);

export const createAssistantBody = z
  .object({
    graph_id: graphId,
    assistant_id: absent(z.uuid("an assistant id is a UUID")),
    config: absent(config),
    context: absent(jsonObject),
    metadata: absent(jsonObject),
    name: absent(name),
    description: absent(description),
    if_exists: absent(z.enum(["raise", "do_nothing"])),
  })
  .meta({ id: "CreateAssistantBody" });
export type CreateAssistantBody = z.output<typeof createAssistantBody>;

export const updateAssistantBody = createAssistantBody
  .omit({ assistant_id: true, if_exists: true })
  .extend({ graph_id: absent(graphId) })
  .meta({ id: "UpdateAssistantBody" });

const filter = { metadata, graph_id: absent(storableText.max(128)), name: absent(name) };
export const countAssistantsBody = z.object(filter).meta({ id: "CountAssistantsBody" });
export type AssistantFilterBody = z.output<typeof countAssistantsBody>;

/** Names that an assistant does not have are ignored. */
const selectable = storableText.max(64);
export const searchAssistantsBody = z
  .object({
    ...filter,
    ...page,
    sort_by: absent(z.enum(["assistant_id", "graph_id", "name", "created_at", "updated_at"])),
    sort_order: absent(z.enum(["asc", "desc"])),
    select: absent(z.array(selectable).max(100)),
  })
  .meta({ id: "SearchAssistantsBody" });

export const listVersionsBody = z.object({ metadata, ...page }).meta({ id: "ListAssistantVersionsBody" });
export const setLatestBody = z.object({ version }).meta({ id: "SetLatestBody" });

/** Whether a drawing shows what is inside of subgraphs, or how many levels of them. */
export const xray = z.union([
  z.stringbool({ truthy: ["true", "yes"], falsy: ["false", "no", ""] }),
  z.coerce.number().int().min(0).max(100),
]);
export const recurse = queryFlag;
/** Names of nodes, joined by `|`. */
export const namespace = storableText.min(1).max(4_096);

const timestamp = z.iso.datetime({ offset: true });
export const assistantBody = z
  .object({
    assistant_id: z.uuid(),
    graph_id: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    version,
    config: jsonObject,
    context: jsonObject,
    metadata: jsonObject,
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: "Assistant" });
export const assistantVersionBody = assistantBody.omit({ updated_at: true }).meta({ id: "AssistantVersion" });

const schemaOrNull = z.record(z.string(), z.unknown()).nullable().meta({ description: "JSON Schema; null: not known" });
export const subgraphSchemas = z
  .object({
    input_schema: schemaOrNull,
    output_schema: schemaOrNull,
    state_schema: schemaOrNull,
    config_schema: schemaOrNull,
    context_schema: schemaOrNull,
  })
  .meta({ id: "SubgraphSchemas" });
export const graphSchemas = subgraphSchemas.extend({ graph_id: z.string() }).meta({ id: "GraphSchemas" });

const nodeId = z.union([z.string(), z.number()]);
export const drawnGraph = z
  .object({
    nodes: z.array(z.looseObject({ id: nodeId, type: z.string(), data: z.unknown(), metadata: jsonObject.optional() })),
    edges: z.array(
      z.looseObject({
        source: nodeId,
        target: nodeId,
        data: z.string().optional(),
        conditional: z.boolean().optional(),
      }),
    ),
  })
  .meta({ id: "DrawnGraph" });

/** `LANGGRAPH_CONFIG`: what the default assistants of graphs are made with. */
export const assistantDefaults = jsonText.pipe(
  z.record(
    z.string(),
    config
      .extend({ context: absent(jsonObject) })
      .transform(({ context = {}, ...rest }) => ({ config: rest, context })),
    { error: "must be a JSON object: graph id to {configurable, context, …}" },
  ),
);
export type AssistantDefaults = z.output<typeof assistantDefaults>;
