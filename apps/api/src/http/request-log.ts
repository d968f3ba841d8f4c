import { randomUUID } from "node:crypto";
import type { RequestHandler } from "express";
import type { Logger } from "@flotilla/shared/process/logger";
import type { HeaderPicker } from "./pick-headers.ts";
import type { GatewayMetrics } from "../metrics.ts";

/** Of each header that goes into the log. */
const MAX_LOGGED = 500;

/**
 * Gives each request an id, writes one line when it ends and counts it under its route's template. The line is for debugging;
 * where the operator has chosen headers that are to be in it, it is written at the usual level.
 */
export function logRequests(logger: Logger, metrics: GatewayMetrics, headers: HeaderPicker): RequestHandler {
  const level = headers.picks ? "info" : "debug";
  return (request, response, next) => {
    const started = performance.now();
    const given = request.headers["x-request-id"];
    const requestId = typeof given === "string" && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
    response.locals["requestId"] = requestId;
    response.setHeader("x-request-id", requestId);
    response.once("close", () => {
      const seconds = (performance.now() - started) / 1000;
      const endpoint = (response.locals["endpoint"] as string | undefined) ?? "unmatched";
      const streaming = response.getHeader("content-type") === "text/event-stream";
      metrics.requestEnded(request.method, endpoint, response.statusCode, streaming ? undefined : seconds);
      logger[level](
        {
          request_id: requestId,
          method: request.method,
          endpoint,
          status: response.statusCode,
          ms: Math.round(seconds * 1000),
          ...(headers.picks ? { headers: shortened(headers.of(request.headers)) } : {}),
        },
        "request",
      );
    });
    next();
  };
}

function shortened(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.slice(0, MAX_LOGGED)]));
}
