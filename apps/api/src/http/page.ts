import type { Response } from "express";

/**
 * How many rows match, at least those that were seen, and where the next page begins, when there is one. AGENT_SERVER_API
 * section 3.
 */
export function setPagination(response: Response, page: { matching: number; offset: number; returned: number }): void {
  const end = page.offset + page.returned;
  const total = page.returned === 0 ? page.matching : Math.max(page.matching, end);
  response.set("x-pagination-total", String(total));
  if (page.returned > 0 && end < page.matching) response.set("x-pagination-next", String(end));
}
