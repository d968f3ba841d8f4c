import type { Request } from "express";
import * as z from "zod";

/** Longest time a request may wait for its run, in s. */
export const MAX_WAIT_SECONDS = 300;

export const waitQuery = z.object({
  wait: z.coerce
    .number()
    .min(0)
    .optional()
    .meta({ description: "Seconds to wait for the end; more than 300 are taken as 300. As Prefer: wait=N" }),
});

/** Seconds to wait: `?wait=N`, else `Prefer: wait=N` (RFC 7240), at most 300; 0 when neither says anything useful. */
export function waitSeconds(request: Request, query: z.output<typeof waitQuery>): number {
  if (query.wait !== undefined) return Math.min(query.wait, MAX_WAIT_SECONDS);
  const prefer = request.headers["prefer"];
  const text = Array.isArray(prefer) ? prefer.join(",") : (prefer ?? "");
  const wait = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?/i.exec(text)?.[1];
  return wait === undefined ? 0 : Math.min(Number(wait), MAX_WAIT_SECONDS);
}
