import type { RequestHandler } from "express";
import { PayloadTooLarge } from "@flotilla/shared/errors";

/**
 * Refuses a body by its announced length. The parser would take in all of it before it says so, and a client that waits to be
 * told whether to send it (`Expect: 100-continue`) would wait for ever. Node reads off what comes after the answer.
 */
export function refuseLargeBodies(maxBytes: number): RequestHandler {
  return (request, _response, next) => {
    if (Number(request.headers["content-length"]) > maxBytes) throw bodyTooLarge();
    next();
  };
}

export function bodyTooLarge(): PayloadTooLarge {
  return new PayloadTooLarge("The body is larger than this server takes (MAX_BODY_BYTES)");
}
