import type { ErrorRequestHandler, Response } from "express";
import { AppError, BadRequest, GraphNotLoaded, InvalidRequest, Overloaded, Unavailable } from "@flotilla/shared/errors";
import { isConnectionFailure, isPoolExhausted } from "@flotilla/shared/postgres/pg-error";
import type { Logger } from "@flotilla/shared/process/logger";
import type { GatewayMetrics } from "../metrics.ts";
import { bodyTooLarge } from "./large-bodies.ts";

/** The only place where an error becomes a status code: `{"detail", "code"}`, in both dialects. */
export function renderErrors(logger: Logger, metrics: GatewayMetrics): ErrorRequestHandler {
  return (thrown: unknown, request, response, _next) => {
    const error = toAppError(thrown);
    if (error === undefined)
      logger.error(
        { err: thrown, method: request.method, request_id: response.locals["requestId"] as string },
        "a request failed",
      );
    if (error instanceof Overloaded) metrics.refused(error.code);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (error instanceof GraphNotLoaded) logger.error({ err: error.cause ?? error }, error.message);
    // A graph that cannot be loaded is not there a second later either.
    else if (error?.httpStatus === 503) response.setHeader("retry-after", String(retryAfter(error)));
    if (error?.httpStatus === 401) response.setHeader("www-authenticate", "Bearer");
    sendError(response, error);
  };
}

/** When to try again, in s. Spread, so that those who were refused together do not come back together. */
function retryAfter(error: AppError): number {
  const least = error instanceof Overloaded && error.code !== "database_busy" ? LATER_SECONDS : 1;
  return least + Math.floor(Math.random() * (2 * least + 1));
}
/** What fills Redis or the queue does not go away within a second. */
const LATER_SECONDS = 5;

function sendError(response: Response, error: AppError | undefined): void {
  if (error === undefined) {
    response
      .status(500)
      .json({ detail: "Something went wrong on the server; its log has the details", code: "internal_error" });
    return;
  }
  response.status(error.httpStatus).json({
    detail: error.message,
    code: error.code,
    ...(error instanceof InvalidRequest && error.problems.length > 0 ? { problems: error.problems } : {}),
  });
}

function toAppError(thrown: unknown): AppError | undefined {
  if (thrown instanceof AppError) return thrown;
  if (isPoolExhausted(thrown))
    return new Overloaded("database_busy", "No connection to the database came free in time; try again");
  if (isConnectionFailure(thrown)) return new Unavailable("The database does not answer; try again");
  if (typeof thrown !== "object" || thrown === null || !("status" in thrown)) return undefined;
  // What body-parser and Express' router throw: their messages are written for clients.
  const { status, type } = thrown as { status: number; type?: string };
  if (status === 413) return bodyTooLarge();
  if (type === "charset.unsupported" || type === "encoding.unsupported")
    return new BadRequest("The body's encoding is not supported; send UTF-8");
  if (status >= 400 && status < 500) return new BadRequest("The request could not be read");
  return undefined;
}
