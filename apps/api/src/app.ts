import express, { type Express, type Response, type Router } from "express";
import helmet from "helmet";
import { NotFound } from "@flotilla/shared/errors";
import type { Gateway } from "./gateway.ts";
import type { Authenticator } from "./http/authenticate.ts";
import { refuseLargeBodies } from "./http/large-bodies.ts";
import { parseRequest } from "./http/parse-request.ts";
import { allowOrigins, type CorsRules } from "./http/origins.ts";
import type { HeaderPicker } from "./http/pick-headers.ts";
import { renderErrors } from "./http/render-error.ts";
import { logRequests } from "./http/request-log.ts";
import type { Route } from "./http/route.ts";
import { docsRouter } from "./system/routes.ts";

export interface AppOptions {
  gateway: Gateway;
  authenticator: Authenticator;
  routes: readonly Route[];
  /** Whether there is a page that shows the API. */
  docs: boolean;
  cors: CorsRules;
  loggedHeaders: HeaderPicker;
  trustProxyHops: number;
  maxBodyBytes: number;
  maxJsonDepth: number;
}

/** The order of middleware and the mounting of routes. No I/O. */
export function createApp(options: AppOptions): Express {
  const { gateway, routes } = options;
  const { mountPrefix } = gateway;
  const app = express();
  app.disable("x-powered-by");
  app.set("trust proxy", options.trustProxyHops);
  app.set("etag", false);
  app.use(logRequests(gateway.logger, gateway.metrics, options.loggedHeaders));
  app.use(helmet());
  app.use(allowOrigins(options.cors));
  const probes = routes.filter((route) => route.access === "probe");
  mountAll(app, probes, options);
  app.use(async (request, _response, next) => {
    await options.authenticator.admit(request);
    next();
  });
  if (options.docs) app.use(mountPrefix || "/", docsRouter());
  app.use(refuseLargeBodies(options.maxBodyBytes));
  // Any content type: clients send JSON under none or under text/plain.
  app.use(express.text({ type: () => true, limit: options.maxBodyBytes, defaultCharset: "utf-8" }));
  mountAll(app, routes.filter((route) => !probes.includes(route)), options); // prettier-ignore
  app.use((request) => {
    throw new NotFound("route", `There is nothing at ${request.method} ${request.path.slice(0, 200)}`);
  });
  app.use(renderErrors(gateway.logger, gateway.metrics));
  return app;
}

/** Below the prefix; some at the root as well. Paths that handlers see, and that runs are known by, are without it. */
function mountAll(app: Express, routes: readonly Route[], options: AppOptions): void {
  const { mountPrefix } = options.gateway;
  const router = express.Router();
  for (const route of routes) mount(router, route, options);
  app.use(mountPrefix || "/", router);
  if (mountPrefix !== "") for (const route of routes) if (route.atRoot === true) mount(app, route, options);
}

function mount(router: Router, route: Route, { authenticator, maxJsonDepth }: AppOptions): void {
  const path = route.path.replace(/\{(\w+)\}/g, ":$1");
  router[route.method](path, async (request, response) => {
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
