import { toJsonSchema } from "@langchain/core/utils/json_schema";
import type { SchemaMetaRegistry } from "@langchain/langgraph/zod";
import {
  getConfigTypeSchema,
  getInputTypeSchema,
  getOutputTypeSchema,
  getStateTypeSchema,
} from "@langchain/langgraph/zod/schema";
import type { CompiledGraph } from "@flotilla/shared/graphs/graph-registry";
import type { GraphSchemas } from "@flotilla/shared/graphs/source-schema-queries";

type JsonSchema = Record<string, unknown>;

/**
 * What a graph knows about itself while it runs: states that are zod objects or `StateSchema`s of standard schemas. Nothing
 * of `Annotation`, whose types are gone by then.
 */
export function runtimeSchemas(graph: CompiledGraph): GraphSchemas {
  const registry = lenient(graph);
  const of = (read: typeof getStateTypeSchema): JsonSchema | null =>
    (read(graph, registry) as JsonSchema | undefined) ?? null;
  // LangGraph.js has one place for both: `context` of a graph, formerly its `configurable`.
  const config = of(getConfigTypeSchema);
  return {
    input_schema: of(getInputTypeSchema),
    output_schema: of(getOutputTypeSchema),
    state_schema: of(getStateTypeSchema),
    config_schema: config,
    context_schema: config,
  };
}

/**
 * LangGraph's registry of what reducers and extras belong to a schema, with a conversion that goes on where JSON Schema has no
 * word for a type: there it says "anything", and of a date what it is on the wire. The one that LangGraph uses throws, and a
 * single date in a state would hide all of its schema. What it is given it takes as finished.
 */
function lenient(graph: CompiledGraph): SchemaMetaRegistry {
  // The registry of the LangGraph that the graph was made with, which may be another copy than ours.
  const registry = (graph as { builder?: { _metaRegistry?: SchemaMetaRegistry } }).builder?._metaRegistry;
  const getExtendedChannelSchemas: SchemaMetaRegistry["getExtendedChannelSchemas"] = (schema, effects) => {
    const extended = registry === undefined ? schema : registry.getExtendedChannelSchemas(schema, effects);
    // A copy: zod hides a way back to its schema in the original, and that would be converted once more.
    return { ...toJsonSchema(extended, { unrepresentable: "any", override: nameDates }) } as never;
  };
  return { getExtendedChannelSchemas } as SchemaMetaRegistry;
}

function nameDates({ zodSchema, jsonSchema }: { zodSchema: unknown; jsonSchema: JsonSchema }): void {
  const { type } = (zodSchema as { _zod: { def: { type: string } } })._zod.def;
  if (type === "date") Object.assign(jsonSchema, { type: "string", format: "date-time" });
}

/** Whether the graph's state is all known; a graph may have no context at all. */
export function isWhole({ input_schema, output_schema, state_schema }: GraphSchemas): boolean {
  return input_schema !== null && output_schema !== null && state_schema !== null;
}

/** What is known at run time, and for the rest what the source says. */
export function withSource(known: GraphSchemas, source: GraphSchemas | undefined): GraphSchemas {
  if (source === undefined) return known;
  return {
    input_schema: known.input_schema ?? source.input_schema,
    output_schema: known.output_schema ?? source.output_schema,
    state_schema: known.state_schema ?? source.state_schema,
    config_schema: known.config_schema ?? source.config_schema,
    context_schema: known.context_schema ?? source.context_schema,
  };
}
