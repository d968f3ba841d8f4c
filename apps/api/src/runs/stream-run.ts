import {
  BEGINNING,
  compareEventIds,
  formatEventId,
  parseEventId,
  type EventId,
} from "@flotilla/shared/events/event-id";
import { isEnd, type RunEvent } from "@flotilla/shared/events/event-batch";
import type { EventTail, EventTails } from "@flotilla/shared/events/event-tail";
import { closingEvents, hasEnd, writeMissingEnd } from "@flotilla/shared/events/missing-end";
import type { Redis } from "@flotilla/shared/redis/connection";
import { isFinal, type Run } from "@flotilla/shared/runs/run";
import type { GatewayMetrics } from "../metrics.ts";
import type { SseStream } from "../http/sse.ts";
import { readRunEnd, type RunEndDeps } from "./run-end.ts";

export interface StreamDeps extends RunEndDeps {
  redis: Redis;
  prefix: string;
  tails: EventTails;
  metrics: GatewayMetrics;
}

export interface StreamOptions {
  tenantId: string;
  threadId: string;
  runId: string;
  after: EventId | undefined;
  /** Modes to pass on; all when absent. */
  modes: readonly string[] | undefined;
}

/**
 * Copies a run's events to a client until its end, until the client goes, or until the gateway does.
 * @returns whether the client was given the end.
 */
export async function streamRun(
  deps: StreamDeps,
  tail: EventTail,
  sse: SseStream,
  options: StreamOptions,
): Promise<boolean> {
  const passes = modeFilter(options.modes);
  for await (const item of tail.read({ after: options.after, signal: sse.closed })) {
    if (item.kind === "gap") {
      const values = await currentValues(deps, options);
      await sse.writeEvent(
        "gap",
        JSON.stringify({ reason: "events of this run are not kept any more", last_missing: formatEventId(item.id) }),
        formatEventId(item.id),
      );
      if (!(await sse.writeEvent("values", values))) return false;
      continue;
    }
    const events = passes === undefined ? item.events : item.events.filter(passes);
    if (events.length > 0) {
      const taken = sse.write(events);
      if (item.appendedAt !== undefined) deps.metrics.eventsWritten(item.appendedAt);
      if (!(await taken)) return false;
    }
    if (item.events.some(isEnd)) break;
  }
  const ended = !sse.closed.aborted;
  sse.end();
  return ended;
}

/** For a run that ended a while ago: its end is supplied at once when its stream has none (any more). */
export async function supplyEndOfOldRun(deps: StreamDeps, tenantId: string, run: Run): Promise<void> {
  if (!isFinal(run.status) || run.ended_at === null || Date.now() - Date.parse(run.ended_at) < 2_000) return;
  try {
    if (await hasEnd(deps.redis, deps.prefix, run.run_id)) return;
    await writeMissingEnd(
      deps.redis,
      deps.prefix,
      run.run_id,
      await missingEnd(deps, tenantId, run.run_id, run.attempt),
    );
  } catch {
    // Redis is away: the tail hands the end to its clients
  }
}

/** The closing events of a run whose worker did not write them. A row that is gone was rolled back. */
export async function missingEnd(
  deps: RunEndDeps,
  tenantId: string,
  runId: string,
  attempt: number,
): Promise<RunEvent[]> {
  const end = await readRunEnd(deps, tenantId, runId);
  if (end === "live") return [];
  if (end === "gone") return closingEvents({ runId, attempt, status: "rollback", values: "{}", error: null });
  return closingEvents({
    runId,
    attempt,
    status: end.status,
    values: JSON.stringify(end.values),
    error: end.error === null ? null : JSON.stringify(end.error),
  });
}

/**
 * The cursor that a client sends: `-1` and `-` are the beginning. An id that is none of ours, or of an attempt that the run
 * has not had, is taken as the beginning too: a client that gets all again loses nothing.
 */
export function parseCursor(header: string | undefined, attempt: number): EventId | undefined {
  if (header === undefined || header === "-1" || header === "-") return undefined;
  const id = parseEventId(header);
  return id === undefined || id.attempt > attempt || compareEventIds(id, BEGINNING) <= 0 ? undefined : id;
}

const ALWAYS = new Set(["metadata", "error", "end", "feedback", "gap"]);

/** Filters by the part of the name before `|`: `messages-tuple` is `messages`, and `messages` is `messages/…`. */
function modeFilter(modes: readonly string[] | undefined): ((event: RunEvent) => boolean) | undefined {
  if (modes === undefined || modes.length === 0) return undefined;
  const names = new Set(modes.map((mode) => (mode === "messages-tuple" ? "messages" : mode)));
  const accumulated = modes.includes("messages");
  return ({ event }) => {
    const name = event.split("|", 1)[0] as string;
    return ALWAYS.has(name) || names.has(name) || (accumulated && name.startsWith("messages/"));
  };
}

async function currentValues(deps: StreamDeps, { tenantId, threadId, runId }: StreamOptions): Promise<string> {
  const state = await deps.states.ofRun(tenantId, runId).catch(() => undefined);
  const values = state?.values ?? (await deps.states.storedValues(tenantId, threadId).catch(() => undefined));
  return JSON.stringify(values ?? {});
}
