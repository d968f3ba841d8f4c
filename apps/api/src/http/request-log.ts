import { randomUUID } from "node:crypto";
import type { RequestHandler } from "express";
import type { Logger } from "@flotilla/shared/process/logger";
import type { GatewayMetrics } from "../metrics.ts";

/** Gives each request an id, writes one line when it ends and counts it under its route's template. */
export function logRequests(logger: Logger, metrics: GatewayMetrics): RequestHandler {
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
      logger.debug(
        {
          request_id: requestId,
          method: request.method,
          endpoint,
          status: response.statusCode,
          ms: Math.round(seconds * 1000),
        },
        "request",
      );
    });
    next();
  };
}
