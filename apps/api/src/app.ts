import cors from "cors";
import express, { type Express, type Response } from "express";
import helmet from "helmet";
import { NotFound } from "@flotilla/shared/errors";
import type { Gateway } from "./gateway.ts";
import type { Authenticator } from "./http/authenticate.ts";
import { refuseLargeBodies } from "./http/large-bodies.ts";
import { parseRequest } from "./http/parse-request.ts";
import { renderErrors } from "./http/render-error.ts";
import { logRequests } from "./http/request-log.ts";
import type { Route } from "./http/route.ts";
import { docsRouter } from "./system/routes.ts";

export interface AppOptions {
  gateway: Gateway;
  authenticator: Authenticator;
  routes: readonly Route[];
  allowedOrigins: readonly string[];
  trustProxyHops: number;
  maxBodyBytes: number;
  maxJsonDepth: number;
}

const EXPOSED_HEADERS = ["Content-Location", "Location", "X-Pagination-Total", "X-Pagination-Next", "X-Request-Id"];

/** The order of middleware and the mounting of routes. No I/O. */
export function createApp(options: AppOptions): Express {
  const { gateway, allowedOrigins } = options;
  const app = express();
  app.disable("x-powered-by");
  app.set("trust proxy", options.trustProxyHops);
  app.set("etag", false);
  app.use(logRequests(gateway.logger, gateway.metrics));
  app.use(helmet());
  if (allowedOrigins.length > 0) {
    const all = allowedOrigins.includes("*");
    app.use(cors({ origin: all ? "*" : [...allowedOrigins], credentials: !all, exposedHeaders: EXPOSED_HEADERS }));
  }
  const probes = options.routes.filter((route) => route.access === "probe");
  for (const route of probes) mount(app, route, options);
  app.use(async (request, _response, next) => {
    await options.authenticator.admit(request);
    next();
  });
  app.use(docsRouter());
  app.use(refuseLargeBodies(options.maxBodyBytes));
  // Any content type: clients send JSON under none or under text/plain.
  app.use(express.text({ type: () => true, limit: options.maxBodyBytes, defaultCharset: "utf-8" }));
  for (const route of options.routes) if (!probes.includes(route)) mount(app, route, options);
  app.use((request) => {
    throw new NotFound("route", `There is nothing at ${request.method} ${request.path.slice(0, 200)}`);
  });
  app.use(renderErrors(gateway.logger));
  return app;
}

function mount(app: Express, route: Route, { authenticator, maxJsonDepth }: AppOptions): void {
  const path = route.path.replace(/\{(\w+)\}/g, ":$1");
  app[route.method](path, async (request, response) => {
    response.locals["endpoint"] = route.path;
    const needsKey = (route.access ?? "key") === "key";
    const principal = needsKey ? await authenticator.authenticate(request) : { tenantId: "", keyId: undefined };
    const { params, query, body } = parseRequest(route, request, maxJsonDepth);
    await route.handle({ principal, params, query, body, request, response, clientGone: whenGone(response) });
  });
}

/** Express knows only "closed"; gone is: closed before the answer was complete. */
function whenGone(response: Response): AbortSignal {
  const gone = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
  return gone.signal;
}
