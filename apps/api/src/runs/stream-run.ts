import { setTimeout as delay } from "node:timers/promises";
import {
  BEGINNING,
  compareEventIds,
  formatEventId,
  parseEventId,
  type EventId,
} from "@flotilla/shared/events/event-id";
import { isEnd, type RunEvent } from "@flotilla/shared/events/event-batch";
import { lastEventId } from "@flotilla/shared/events/last-event";
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

interface RunStream {
  tenantId: string;
  threadId: string;
  runId: string;
  after: EventId | undefined;
}

export interface StreamOptions extends RunStream {
  /** Modes to pass on; all when absent. */
  modes: readonly string[] | undefined;
}

/** Copies a run's events to a client until its end, until the client goes, or until the gateway does. */
export async function streamRun(
  deps: StreamDeps,
  tail: EventTail,
  sse: SseStream,
  { modes, ...run }: StreamOptions,
): Promise<void> {
  if (await copyRun(deps, tail, sse, { ...run, passes: modeFilter(modes) })) sse.end();
}

type Passes = (event: Pick<RunEvent, "event">) => boolean;

export interface CopyOptions extends RunStream {
  /** Which events to pass on; all when absent. */
  passes: Passes | undefined;
  /** Goes before the ids, where the stream holds several runs. */
  idPrefix?: string;
  /** Awaited when the end is about to be written. */
  beforeEnd?(): Promise<void>;
}

/**
 * Copies a run's events to a client and leaves the stream open.
 * @returns whether the run's end was reached; false when the client or the gateway has gone.
 */
export async function copyRun(
  deps: StreamDeps,
  tail: EventTail,
  sse: SseStream,
  options: CopyOptions,
): Promise<boolean> {
  const { passes, idPrefix = "", after } = options;
  for await (const item of tail.read({ after, signal: sse.closed })) {
    if (item.kind === "gap") {
      if (passes?.({ event: "gap" }) === false) continue;
      const values = await currentValues(deps, options);
      const last = formatEventId(item.id);
      const reason = "events of this run are not kept any more";
      await sse.writeEvent("gap", JSON.stringify({ reason, last_missing: last }), idPrefix + last);
      if (!(await sse.writeEvent("values", values))) return false;
      continue;
    }
    const ends = item.events.some(isEnd);
    if (ends) await options.beforeEnd?.();
    const events = passes === undefined ? item.events : item.events.filter(passes);
    if (events.length > 0) {
      const taken = sse.write(events, idPrefix);
      if (item.appendedAt !== undefined) deps.metrics.eventsWritten(item.appendedAt);
      if (!(await taken)) return false;
    }
    if (ends) return true;
  }
  return !sse.closed.aborted;
}

/** A worker that still writes the events of a run that is settled writes the next ones within this time, in ms. */
const SILENCE_MS = 1_000;

/**
 * For a run that ended a while ago: its end is supplied at once when its stream is gone, and when nobody writes to it any more
 * although it has none. A run with many events may be settled long before a busy machine has taken the last of them.
 */
export async function supplyEndOfOldRun(
  deps: StreamDeps,
  tenantId: string,
  run: Pick<Run, "run_id" | "status" | "attempt" | "ended_at">,
): Promise<void> {
  if (!isFinal(run.status) || run.ended_at === null || Date.now() - Date.parse(run.ended_at) < 2_000) return;
  const { redis, prefix } = deps;
  try {
    if (await hasEnd(redis, prefix, run.run_id)) return;
    const last = await lastEventId(redis, prefix, run.run_id);
    if (last !== undefined) {
      await delay(SILENCE_MS);
      const now = await lastEventId(redis, prefix, run.run_id);
      if (now === undefined || compareEventIds(now, last) !== 0) return; // it ended meanwhile, or gets on: the tail follows
    }
    await writeMissingEnd(redis, prefix, run.run_id, await missingEnd(deps, tenantId, run.run_id, run.attempt));
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
function modeFilter(modes: readonly string[] | undefined): Passes | undefined {
  if (modes === undefined || modes.length === 0) return undefined;
  const names = new Set(modes.map((mode) => (mode === "messages-tuple" ? "messages" : mode)));
  const accumulated = modes.includes("messages");
  return ({ event }) => {
    const name = event.split("|", 1)[0] as string;
    return ALWAYS.has(name) || names.has(name) || (accumulated && name.startsWith("messages/"));
  };
}

async function currentValues(deps: StreamDeps, { tenantId, threadId, runId }: RunStream): Promise<string> {
  const state = await deps.states.ofRun(tenantId, runId).catch(() => undefined);
  const values = state?.values ?? (await deps.states.storedValues(tenantId, threadId).catch(() => undefined));
  return JSON.stringify(values ?? {});
}
