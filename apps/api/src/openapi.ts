import * as z from "zod";
import { errorBody } from "@flotilla/shared/protocol/responses";
import { VERSION } from "@flotilla/shared/version";
import type { Route, RouteAnswer } from "./http/route.ts";

/**
 * The OpenAPI 3.1 document, made from the schemas that validate. Schemas with an id become components.
 * @param mountPrefix below which the paths are; "" or a path
 */
export function describeApi(routes: readonly Route[], mountPrefix: string): unknown {
  const schemas: Schemas = {};
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method] = describeRoute(route, schemas);
  return {
    openapi: "3.1.0",
    info: {
      title: "Flotilla",
      version: VERSION,
      description: "A self-hosted LangGraph server",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    ...(mountPrefix === "" ? {} : { servers: [{ url: mountPrefix }] }),
    paths,
    components: {
      schemas,
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer" },
        apiKey: { type: "apiKey", in: "header", name: "x-api-key" },
      },
    },
  };
}

type Schemas = Record<string, unknown>;

function describeRoute(route: Route, schemas: Schemas): unknown {
  const parameters = [
    ...describeParameters("path", route.params, schemas),
    ...describeParameters("query", route.query, schemas),
    ...Object.entries(route.headers ?? {}).map(([name, description]) => ({
      name,
      in: "header",
      required: false,
      description,
      schema: { type: "string" },
    })),
  ];
  return {
    operationId: `${route.method}_${route.path.replace(/[^a-z]+/gi, "_")}`.replace(/_+/g, "_").replace(/_$/, ""),
    summary: route.summary,
    tags: [route.tag],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body === undefined
      ? {}
      : {
          requestBody: { required: true, content: { "application/json": { schema: jsonSchema(route.body, schemas) } } },
        }),
    responses: Object.fromEntries(
      Object.entries({ ...commonAnswers(route), ...route.answers }).map(([status, answer]) => [
        status,
        describeAnswer(answer, schemas),
      ]),
    ),
    ...(route.access === "open" ? {} : { security: [{ bearer: [] }, { apiKey: [] }, {}] }),
  };
}

/** What is answered before a route has a say, or when Postgres does not. A route may say more about a status. */
function commonAnswers({ access = "key", params, query, body }: Route): Record<number, RouteAnswer> {
  const refused = (description: string): RouteAnswer => ({ description, schema: errorBody });
  const takesValues = params !== undefined || query !== undefined || body !== undefined;
  return {
    ...(body === undefined ? {} : { 400: refused("The body is not JSON, or contradicts the request") }),
    ...(access === "key" ? { 401: refused("There is no valid API key") } : {}),
    ...(access === "probe" ? {} : { 403: refused("The request comes from where nobody may come") }),
    ...(body === undefined ? {} : { 413: refused("The body is larger than MAX_BODY_BYTES") }),
    ...(takesValues ? { 422: refused("A value is not valid") } : {}),
    ...(access === "key" ? { 503: refused("Postgres does not answer or has no connection free; try again") } : {}),
  };
}

function describeAnswer({ description, schema, contentType }: RouteAnswer, schemas: Schemas): unknown {
  if (schema === undefined && contentType === undefined) return { description };
  const type = contentType ?? "application/json";
  return {
    description,
    content: { [type]: { schema: schema === undefined ? { type: "string" } : jsonSchema(schema, schemas) } },
  };
}

function describeParameters(where: "path" | "query", schema: z.ZodType | undefined, schemas: Schemas): unknown[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema, schemas) as {
    properties?: Record<string, unknown>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: where === "path" || required.includes(name),
    schema: property,
  }));
}

function jsonSchema(schema: z.ZodType, schemas: Schemas): unknown {
  const text = JSON.stringify(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }));
  const {
    $schema: _dialect,
    $defs = {},
    ...rest
  } = JSON.parse(text.replaceAll("#/$defs/", "#/components/schemas/")) as Record<string, unknown>;
  Object.assign(schemas, $defs);
  return rest;
}
