import type { Request, Response } from "express";
import type * as z from "zod";
import type { ApiArea } from "@flotilla/shared/graphs/http-settings";
import type { Principal } from "@flotilla/shared/access/api-key";

/** What a handler gets: the caller and the request's parts, parsed by the route's own schemas. */
export interface RouteContext<P, Q, B> {
  principal: Principal;
  params: P;
  query: Q;
  body: B;
  request: Request;
  response: Response;
  /** Aborted when the client goes away before the answer is complete. */
  clientGone: AbortSignal;
}

export interface RouteAnswer {
  description: string;
  schema?: z.ZodType;
  contentType?: string;
}

/**
 * A route: its wire contract and its handler in one place. The same schemas validate requests and make the OpenAPI
 * document. Paths are written as in OpenAPI, `/threads/{thread_id}`.
 */
export interface Route<
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> {
  method: "get" | "post" | "delete" | "put" | "patch";
  path: string;
  summary: string;
  tag: string;
  /**
   * `open` answers without a key, though not to a request from where nobody may come (`Authenticator.admit`); `probe` answers
   * whoever reaches the port, as load balancers and scrapers call by address.
   */
  access?: "probe" | "open" | "key";
  /** What switches the route off, where it is not its tag: `disable_<area>` of a langgraph.json. */
  area?: ApiArea;
  /** Whether it is answered without the mount prefix as well: who watches a process is told its address, not its API's. */
  atRoot?: true;
  params?: P;
  query?: Q;
  body?: B;
  /** Headers that the route looks at, for the description: name and what it says. */
  headers?: Record<string, string>;
  answers: Record<number, RouteAnswer>;
  handle(context: RouteContext<z.output<P>, z.output<Q>, z.output<B>>): Promise<void> | void;
}

/** Keeps the types of a route's schemas for its handler, and forgets them for the list of routes. */
export function route<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
  definition: Route<P, Q, B>,
): Route {
  return definition as unknown as Route;
}

/** The routes that are not switched off. One that is gets the answer of a path where nothing is, and is not described. */
export function servedRoutes(routes: readonly Route[], disabled: ReadonlySet<string>): Route[] {
  return routes.filter(({ area, tag }) => !disabled.has(area ?? tag));
}
