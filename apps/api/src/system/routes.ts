import { createRequire } from "node:module";
import { dirname } from "node:path";
import express, { type Router } from "express";
import * as z from "zod";
import type { Registry } from "prom-client";
import { messageOf } from "@flotilla/shared/errors";
import type { ApiArea } from "@flotilla/shared/graphs/http-settings";
import type { ClockCheck } from "@flotilla/shared/postgres/clock";
import { queryFlag } from "@flotilla/shared/protocol/query";
import { VERSION } from "@flotilla/shared/version";
import { errorBody } from "@flotilla/shared/protocol/responses";
import type { Gateway } from "../gateway.ts";
import { route, type Route } from "../http/route.ts";
import { DatabaseCheck } from "./database-check.ts";

export interface SystemParts {
  gateway: Gateway;
  prometheus: Registry;
  clock: ClockCheck;
  metricsPublic: boolean;
  langgraphVersion: string;
  disabled: ReadonlySet<ApiArea>;
  isStopping(): boolean;
  openApi(): unknown;
}

const tag = "system";
const status = z.object({ status: z.string() });

/** What probes, scrapers and tools ask. Bodies hold nothing internal. */
export function systemRoutes({
  gateway,
  prometheus,
  clock,
  metricsPublic,
  langgraphVersion,
  disabled,
  isStopping,
  openApi,
}: SystemParts): Route[] {
  const { pool, redis, logger } = gateway;
  const database = new DatabaseCheck(pool);
  return [
    route({
      method: "get",
      path: "/health",
      tag,
      atRoot: true,
      access: "probe",
      summary: "Whether the process lives",
      answers: { 200: { description: "It does", schema: status } },
      handle: ({ response }) => void response.json({ status: "healthy", version: VERSION }),
    }),
    route({
      method: "get",
      path: "/ready",
      tag,
      atRoot: true,
      access: "probe",
      summary: "Whether requests should come here",
      answers: {
        200: { description: "ready; degraded without Redis, as runs are accepted all the same", schema: status },
        503: { description: "Postgres does not answer, its schema is old, or the clocks differ", schema: status },
      },
      async handle({ response }) {
        if (isStopping()) return void response.status(503).json({ status: "stopping" });
        try {
          await database.require();
        } catch (error) {
          logger.warn({ err: messageOf(error) }, "not ready");
          return void response.status(503).json({ status: "unready" });
        }
        if (!clock.isRight)
          return void response.status(503).json({ status: "unready", reason: "the clock differs from Postgres'" });
        response.json({ status: redis.status === "ready" ? "ready" : "degraded" });
      },
    }),
    route({
      method: "get",
      path: "/ok",
      tag,
      atRoot: true,
      access: "probe",
      summary: "LangGraph's health check",
      query: z.object({ check_db: queryFlag.optional() }),
      answers: {
        200: { description: "It is", schema: z.object({ ok: z.literal(true) }) },
        503: { description: "With check_db: Postgres does not answer, or its schema is old", schema: errorBody },
      },
      async handle({ query, response }) {
        if (query.check_db === true) await database.require();
        response.json({ ok: true });
      },
    }),
    route({
      method: "get",
      path: "/info",
      tag,
      area: "meta",
      access: "open",
      summary: "Versions and features",
      answers: { 200: { description: "What this server is" } },
      handle: ({ response }) =>
        void response.json({
          version: VERSION,
          langgraph_js_version: langgraphVersion,
          context: "js",
          flags: { assistants: !disabled.has("assistants"), crons: false, langsmith: false, strict_resume: true },
        }),
    }),
    route({
      method: "get",
      path: "/metrics",
      tag,
      area: "meta",
      atRoot: true,
      access: metricsPublic ? "probe" : "key",
      summary: "Metrics, for Prometheus or as JSON",
      query: z.object({ format: z.enum(["prometheus", "json"]).default("prometheus") }),
      answers: {
        200: { description: "Text in Prometheus' format; with `format=json` a list", contentType: "text/plain" },
      },
      async handle({ query, response }) {
        if (query.format === "json") return void response.json(await prometheus.getMetricsAsJSON());
        response.set("content-type", prometheus.contentType).send(await prometheus.metrics());
      },
    }),
    route({
      method: "get",
      path: "/openapi.json",
      tag,
      area: "meta",
      access: "open",
      summary: "This description",
      answers: { 200: { description: "OpenAPI 3.1" } },
      handle: ({ response }) => void response.json(openApi()),
    }),
  ];
}

const DOCS = `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8"><title>Flotilla API</title>
  <link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body><div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body>
</html>`;
const START = `window.ui = SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true });`;

/** The API's description for people, served from this machine: no content delivery network, no account. */
export function docsRouter(): Router {
  const router = express.Router();
  const assets = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
  router.get("/docs", (request, response) => {
    response.locals["endpoint"] = "/docs";
    // The page's links are relative, for a proxy that serves the API under a path of its own: they need the page's one address.
    if (request.path.endsWith("/")) return response.redirect(308, "../docs");
    // Swagger UI sets styles by script and shows images from data URLs.
    response.set(
      "content-security-policy",
      "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
    );
    response.type("html").send(DOCS);
  });
  router.get("/docs/start.js", (_request, response) => void response.type("js").send(START));
  router.use("/docs", express.static(assets, { index: false, maxAge: "1h" }));
  return router;
}
