import { formatEventId, parseEventId, type EventId } from "@flotilla/shared/events/event-id";
import { isEnd, type RunEvent } from "@flotilla/shared/events/event-batch";
import { lastEventId } from "@flotilla/shared/events/last-event";
import { threadChannel } from "@flotilla/shared/events/event-keys";
import { once } from "@flotilla/shared/events/waiting";
import { findRunBySeq, findRunToFollow, type RunToFollow } from "@flotilla/shared/runs/thread-run-queries";
import type { Gateway } from "../gateway.ts";
import type { SseStream } from "../http/sse.ts";

/**
 * The stream of a thread: the events of its runs, one after the other in the order in which they start, past the end of each,
 * until the client goes. AGENT_SERVER_API section 7.7. An event's id is `<run>:<event>`: the run's place in the order of
 * acceptance, and its id within the run.
 */

/** A hint that a run was accepted may be lost: the thread's runs are looked at again after this, in ms. */
const POLL_MS = 2_500;

/** All events, only where runs begin and end, or the state after each. */
export type ThreadStreamMode = "run_modes" | "lifecycle" | "state_update";

interface Position {
  /** When the run that was followed last had started; runs that started later come next. */
  startedAt: string;
  /** Runs that were followed and ended before they started. */
  skipped: string[];
}

export interface ThreadStreamOptions {
  tenantId: string;
  threadId: string;
  modes: readonly ThreadStreamMode[];
  /** As the client sends it: `-` is the beginning; absent, what comes from now on. */
  lastEventId: string | undefined;
}

/** Copies events to a client until it goes, or until the gateway does. */
export async function streamThread(gateway: Gateway, sse: SseStream, options: ThreadStreamOptions): Promise<void> {
  const { pool, wakeUps, prefix } = gateway;
  const { tenantId, threadId } = options;
  let wake = () => {};
  let woken = false;
  const stop = await wakeUps.listen(threadChannel(prefix, tenantId, threadId), () => {
    woken = true;
    wake();
  });
  try {
    let { run, after, position } = await startOf(gateway, options);
    while (!sse.closed.aborted) {
      if (run !== undefined) {
        await followRun(gateway, sse, run, after, options);
        if (sse.closed.aborted) return;
        position = await passed(gateway, options, run, position);
        after = undefined;
      } else if (!woken) {
        await wakeOrPoll((notify) => (wake = notify), sse.closed);
      }
      woken = false;
      run = await findRunToFollow(pool, tenantId, threadId, position).catch(() => undefined); // Postgres is away: later
    }
  } finally {
    stop();
  }
}

async function startOf(
  { pool, redis, prefix }: Gateway,
  { tenantId, threadId, lastEventId: header }: ThreadStreamOptions,
): Promise<{ run: RunToFollow | undefined; after: EventId | undefined; position: Position }> {
  const beginning: Position = { startedAt: "-infinity", skipped: [] };
  if (header === "-" || header === "-1") {
    return { run: await findRunToFollow(pool, tenantId, threadId, beginning), after: undefined, position: beginning };
  }
  const cursor = header === undefined ? undefined : parseThreadCursor(header);
  if (cursor !== undefined) {
    const run = await findRunBySeq(pool, tenantId, threadId, cursor.seq);
    if (run !== undefined) return { run, after: cursor.event, position: beginning };
  }
  // From now on: the run in flight from its last event, and none that has ended.
  const position: Position = { startedAt: "now", skipped: [] };
  const run = await findRunToFollow(pool, tenantId, threadId, position);
  const after = run === undefined ? undefined : await lastEventId(redis, prefix, run.run_id);
  return { run, after, position };
}

/** Where the stream has got to with the end of a run. The row is read again: it may not have started when it was found. */
async function passed(
  { pool }: Gateway,
  { tenantId, threadId }: ThreadStreamOptions,
  run: RunToFollow,
  position: Position,
): Promise<Position> {
  const ended = await findRunBySeq(pool, tenantId, threadId, run.seq).catch(() => run);
  const startedAt = ended?.started_at ?? run.started_at;
  const before = position.startedAt === "now" ? "-infinity" : position.startedAt;
  return {
    startedAt: startedAt ?? before,
    skipped: startedAt === null ? [...position.skipped, run.run_id] : position.skipped,
  };
}

async function followRun(
  { tails, states }: Gateway,
  sse: SseStream,
  run: RunToFollow,
  after: EventId | undefined,
  { tenantId, threadId, modes }: ThreadStreamOptions,
): Promise<void> {
  const idOf = (event: RunEvent) => `${run.seq}:${formatEventId(event.id)}`;
  const passes = (event: RunEvent) =>
    modes.includes("run_modes") || (modes.includes("lifecycle") && (event.event === "metadata" || isEnd(event)));
  const tail = await tails.open(run.run_id, tenantId);
  for await (const item of tail.read({ after, signal: sse.closed })) {
    if (item.kind === "gap") {
      const reason = "events of this run are not kept any more";
      if (modes.includes("run_modes"))
        await sse.writeEvent(
          "gap",
          JSON.stringify({ run_id: run.run_id, reason }),
          `${run.seq}:${formatEventId(item.id)}`,
        );
      continue;
    }
    for (const event of item.events) {
      if (isEnd(event) && modes.includes("state_update")) {
        const values: unknown = await states.storedValues(tenantId, threadId).catch(() => null);
        await sse.writeEvent("state_update", JSON.stringify({ run_id: run.run_id, values }));
      }
      if (passes(event) && !(await sse.writeEvent(event.event, event.data, idOf(event)))) return;
    }
    if (item.events.some(isEnd)) return;
  }
}

/** `<run>:<event>`; undefined for what is none of ours. */
export function parseThreadCursor(text: string): { seq: string; event: EventId } | undefined {
  const match = /^(\d{1,18}):(.+)$/.exec(text);
  const event = match === null ? undefined : parseEventId(match[2] as string);
  return event === undefined ? undefined : { seq: match?.[1] as string, event };
}

async function wakeOrPoll(register: (wake: () => void) => void, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await once((wake) => {
    register(wake);
    timer = setTimeout(wake, POLL_MS);
  }, signal);
  clearTimeout(timer);
}
