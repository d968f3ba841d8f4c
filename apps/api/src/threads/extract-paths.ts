import type { ThreadRow } from "@flotilla/shared/threads/thread-search-queries";

/**
 * The values at paths like `values.messages[-1].content`, which the search body's schema has checked. What is not there is null.
 * Own properties only: a path is a client's text.
 */
export function extractPaths(thread: ThreadRow, paths: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(paths).map(([alias, path]) => [alias, valueAt(thread, path)]));
}

function valueAt(thread: ThreadRow, path: string): unknown {
  let at: unknown = thread;
  for (const [, name, index] of path.matchAll(/(?:^|\.)([^.[\]]+)|\[(-?\d+)\]/g)) {
    if (index !== undefined) at = Array.isArray(at) ? (at as unknown[]).at(Number(index)) : undefined;
    else
      at =
        typeof at === "object" && at !== null && Object.hasOwn(at, name as string)
          ? at[name as keyof object]
          : undefined;
  }
  return at ?? null;
}
