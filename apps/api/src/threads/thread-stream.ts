import { parseEventId, type EventId } from "@flotilla/shared/events/event-id";
import { lastEventId } from "@flotilla/shared/events/last-event";
import { threadChannel } from "@flotilla/shared/events/event-keys";
import { wakeOrPoll } from "@flotilla/shared/events/waiting";
import { readClock } from "@flotilla/shared/runs/fleet-queries";
import {
  findRunBySeq,
  findRunInFlight,
  findRunToFollow,
  type RunToFollow,
} from "@flotilla/shared/runs/thread-run-queries";
import type { Gateway } from "../gateway.ts";
import type { SseStream } from "../http/sse.ts";
import { copyRun, supplyEndOfOldRun } from "../runs/stream-run.ts";

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
  /** Runs that started by then are not followed any more. Postgres' text. */
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
        if (!(await followRun(gateway, sse, run, after, options))) return;
        position = await passed(gateway, options, run, position);
        after = undefined;
      } else if (!woken) {
        await wakeOrPoll((notify) => (wake = notify), POLL_MS, sse.closed);
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
  if (header === "-" || header === "-1")
    return { run: await findRunToFollow(pool, tenantId, threadId, beginning), after: undefined, position: beginning };
  const cursor = header === undefined ? undefined : parseThreadCursor(header);
  if (cursor !== undefined) {
    const run = await findRunBySeq(pool, tenantId, threadId, cursor.seq);
    if (run !== undefined) return { run, after: cursor.event, position: beginning };
  }
  // From now on: the run in flight from its last event, then those that start after this moment.
  const position: Position = { startedAt: await readClock(pool), skipped: [] };
  const run = await findRunInFlight(pool, tenantId, threadId);
  const after = run === undefined ? undefined : await lastEventId(redis, prefix, run.run_id);
  return { run, after, position };
}

/** Where the stream has got to with the end of a run. The row is read again: it may not have started when it was found. */
async function passed(
  { pool }: Gateway,
  { tenantId, threadId }: ThreadStreamOptions,
  run: RunToFollow,
  { startedAt, skipped }: Position,
): Promise<Position> {
  const { started_at: started } = (await findRunBySeq(pool, tenantId, threadId, run.seq).catch(() => run)) ?? run;
  return started === null ? { startedAt, skipped: [...skipped, run.run_id] } : { startedAt: started, skipped };
}

/** @returns whether its end was reached. */
async function followRun(
  gateway: Gateway,
  sse: SseStream,
  run: RunToFollow,
  after: EventId | undefined,
  { tenantId, threadId, modes }: ThreadStreamOptions,
): Promise<boolean> {
  await supplyEndOfOldRun(gateway, tenantId, run);
  const all = modes.includes("run_modes");
  const edges = modes.includes("lifecycle");
  return copyRun(gateway, await gateway.tails.open(run.run_id, tenantId), sse, {
    tenantId,
    threadId,
    runId: run.run_id,
    after,
    passes: ({ event }) => all || (edges && (event === "metadata" || event === "end")),
    idPrefix: `${run.seq}:`,
    async beforeEnd() {
      if (!modes.includes("state_update")) return;
      await sse.writeEvent(
        "state_update",
        JSON.stringify(await stateAfter(gateway, { tenantId, threadId }, run.run_id)),
      );
    },
  });
}

/** What a run left; the thread's values where it left nothing, as one that was rolled back, or its graph cannot be loaded. */
async function stateAfter(
  { states }: Gateway,
  { tenantId, threadId }: Pick<ThreadStreamOptions, "tenantId" | "threadId">,
  runId: string,
): Promise<object> {
  const left = await states.ofRun(tenantId, runId).catch(() => undefined);
  if (left !== undefined) return { run_id: runId, values: left.values, checkpoint: left.checkpoint };
  const values: unknown = await states.storedValues(tenantId, threadId).catch(() => null);
  return { run_id: runId, values, checkpoint: null };
}

/** `<run>:<event>`; undefined for what is none of ours. */
function parseThreadCursor(text: string): { seq: string; event: EventId } | undefined {
  const match = /^(\d{1,18}):(.+)$/.exec(text);
  const event = match === null ? undefined : parseEventId(match[2] as string);
  return event === undefined ? undefined : { seq: match?.[1] as string, event };
}
