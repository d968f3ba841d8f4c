import * as z from "zod";
import { VERSION } from "@flotilla/shared/version";
import type { Route, RouteAnswer } from "./http/route.ts";

/** The OpenAPI 3.1 document, made from the schemas that validate. */
export function describeApi(routes: readonly Route[]): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method] = describeRoute(route);
  return {
    openapi: "3.1.0",
    info: { title: "Flotilla", version: VERSION, description: "A self-hosted LangGraph server", license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    paths,
    components: { securitySchemes: { bearer: { type: "http", scheme: "bearer" }, apiKey: { type: "apiKey", in: "header", name: "x-api-key" } } },
  };
}

function describeRoute(route: Route): unknown {
  const parameters = [...describeParameters("path", route.params), ...describeParameters("query", route.query)];
  return {
    operationId: `${route.method}_${route.path.replace(/[^a-z]+/gi, "_")}`.replace(/_+$/, ""),
    summary: route.summary,
    tags: [route.tag],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: { "application/json": { schema: jsonSchema(route.body) } } } }),
    responses: Object.fromEntries(Object.entries(route.answers).map(([status, answer]) => [status, describeAnswer(answer)])),
    ...(route.access === "open" ? {} : { security: [{ bearer: [] }, { apiKey: [] }, {}] }),
  };
}

function describeAnswer({ description, schema, contentType }: RouteAnswer): unknown {
  if (schema === undefined && contentType === undefined) return { description };
  const type = contentType ?? "application/json";
  return { description, content: { [type]: { schema: schema === undefined ? { type: "string" } : jsonSchema(schema) } } };
}

function describeParameters(where: "path" | "query", schema: z.ZodType | undefined): unknown[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema) as { properties?: Record<string, unknown>; required?: string[] };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: where,
    required: where === "path" || required.includes(name),
    schema: property,
  }));
}

function jsonSchema(schema: z.ZodType): unknown {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any", reused: "inline" }) as Record<string, unknown>;
  return rest;
}
