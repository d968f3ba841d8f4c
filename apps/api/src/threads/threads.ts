import { v7 as uuidV7 } from "uuid";
import { Conflict, NotFound } from "@flotilla/shared/errors";
import type { SearchThreadsBody, ThreadTtl, TtlStrategy } from "@flotilla/shared/protocol/thread-body";
import {
  copyThread,
  countThreads,
  getThreadRow,
  insertThread,
  patchThread,
  searchThreads,
  type ThreadFilter,
  type ThreadRow,
} from "@flotilla/shared/threads/thread-search-queries";
import { pruneThread } from "@flotilla/shared/threads/thread-expiry-queries";
import type { Gateway } from "../gateway.ts";
import { deleteThread } from "../runs/cancel-run.ts";
import { extractPaths } from "./extract-paths.ts";
import type { Superstep } from "./thread-state.ts";

/** Threads of the Agent Server API, AGENT_SERVER_API section 4: made, found, changed, copied, pruned. */

type Deps = Pick<Gateway, "pool" | "states" | "registry" | "queue" | "signals" | "failpoint" | "logger" | "threadTtl">;

export interface NewThread {
  threadId: string | undefined;
  metadata: Record<string, unknown>;
  ifExists: "raise" | "do_nothing";
  /** Undefined: the server's default. */
  ttl: ThreadTtl | undefined;
  supersteps: Superstep[];
}

/**
 * @throws Conflict when the thread exists and that is an error; InvalidRequest for super-steps that the graph refuses, and then
 *   there is no thread.
 */
export async function createThread(deps: Deps, tenantId: string, asked: NewThread): Promise<ThreadRow> {
  const threadId = asked.threadId ?? uuidV7();
  const graphId = knownGraph(deps, asked.metadata);
  const { metadata, ttl = deps.threadTtl } = asked;
  const made = await insertThread(deps.pool, { tenantId, threadId, metadata, graphId, ttl });
  if (made === undefined) {
    const existing = await getThreadRow(deps.pool, tenantId, threadId);
    if (asked.ifExists === "do_nothing" && existing !== undefined) return existing;
    throw new Conflict("already_exists", `Thread "${threadId}" exists already`);
  }
  if (asked.supersteps.length === 0) return made;
  try {
    await deps.states.applySupersteps({ tenantId, threadId, graphId: graphId ?? "" }, asked.supersteps);
  } catch (error) {
    await deleteThread(deps, tenantId, threadId).catch(() => {});
    throw error;
  }
  return requireThreadRow(deps, tenantId, threadId);
}

/** The graph that a thread's metadata names, if this server has it: its state can be edited before any run. */
function knownGraph({ registry }: Deps, metadata: Record<string, unknown>): string | undefined {
  const graphId = metadata["graph_id"];
  return typeof graphId === "string" && registry.has(graphId) ? graphId : undefined;
}

/** @throws NotFound */
export async function requireThreadRow(
  deps: Pick<Deps, "pool">,
  tenantId: string,
  threadId: string,
): Promise<ThreadRow> {
  const row = await getThreadRow(deps.pool, tenantId, threadId);
  if (row === undefined) throw missing(threadId);
  return row;
}

/** @throws NotFound */
export async function changeThread(
  deps: Deps,
  tenantId: string,
  threadId: string,
  { metadata, ttl }: { metadata: Record<string, unknown>; ttl: ThreadTtl | undefined },
): Promise<ThreadRow> {
  const change = { metadata, graphId: knownGraph(deps, metadata), ttl };
  const row = await patchThread(deps.pool, tenantId, threadId, change);
  if (row === undefined) throw missing(threadId);
  return row;
}

const PAGE = 10;
/** Threads beyond a page that are still counted. */
const COUNTED = 10_000;

/** @returns a page of threads, and how many match in all; far beyond the page, not all of them are counted. */
export async function findThreads(
  { pool }: Pick<Deps, "pool">,
  tenantId: string,
  body: SearchThreadsBody,
): Promise<{ threads: object[]; matching: number }> {
  const { limit = PAGE, offset = 0, sort_by: column = "updated_at", sort_order: direction = "desc" } = body;
  const filter: ThreadFilter = body;
  const [rows, matching] = await Promise.all([
    searchThreads(pool, tenantId, filter, { order: { column, direction }, limit, offset }),
    countThreads(pool, tenantId, filter, offset + limit + COUNTED),
  ]);
  const threads = rows.map((row) => {
    const shown = visibleThread(row);
    const { extract } = body;
    return extract === undefined ? shown : { ...shown, extracted: extractPaths(row, extract) };
  });
  return { threads, matching };
}

/**
 * A new thread with everything that the source's has, pending writes included: a question that waits there can be answered here.
 * @throws NotFound
 */
export async function duplicateThread(deps: Deps, tenantId: string, threadId: string): Promise<ThreadRow> {
  await requireThreadRow(deps, tenantId, threadId);
  const copy = uuidV7();
  if (!(await copyThread(deps.pool, tenantId, threadId, copy))) throw missing(threadId);
  await deps.states.refreshStale(tenantId, copy).catch(() => false); // a duty tries again
  return requireThreadRow(deps, tenantId, copy);
}

/**
 * Erases threads, or all but their newest states. One with a run in flight is left alone: cleaning up ends nobody's work, and
 * a list of a thousand would wait for each.
 * @returns how many were pruned.
 */
export async function pruneThreads(
  { pool, signals }: Pick<Deps, "pool" | "signals">,
  tenantId: string,
  threadIds: readonly string[],
  strategy: TtlStrategy,
): Promise<number> {
  let pruned = 0;
  for (const threadId of new Set(threadIds)) {
    const result = await pruneThread(pool, tenantId, threadId, strategy);
    if (result.outcome === "deleted") await signals.forget(result.run_ids);
    if (result.outcome === "deleted" || result.outcome === "kept") pruned++;
  }
  return pruned;
}

/** A thread's time to live, counted from its last change; null for one that stays. */
export function visibleTtl({ ttl_strategy, ttl_minutes, updated_at }: ThreadRow): object | null {
  if (ttl_minutes === null) return null;
  const expiresAt = new Date(new Date(updated_at).getTime() + ttl_minutes * 60_000);
  return { strategy: ttl_strategy, ttl_minutes, expires_at: expiresAt };
}

/** A thread as clients see it, AGENT_SERVER_API section 2. */
export function visibleThread(row: ThreadRow): object {
  const { graph_id: _graph, ttl_strategy: _strategy, ttl_minutes: _minutes, error, ...thread } = row;
  return error === null ? thread : { ...thread, error };
}

function missing(threadId: string): NotFound {
  return new NotFound("thread", `Thread "${threadId}" does not exist`);
}
