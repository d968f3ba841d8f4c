import { createHash } from "node:crypto";

/** Names of what a run has in Redis. Run ids are UUIDs of ours: no client-chosen text reaches a key. */
export function streamKey(prefix: string, runId: string): string {
  return `${prefix}:events:${runId}`;
}
/** Channel of the wake-ups of who follows a run's events: `e` for new events, `end` for its end. */
export function wakeChannel(prefix: string, runId: string): string {
  return `${prefix}:wake:${runId}`;
}
/**
 * Channel of the runs that end, of all of them: one subscription of a gateway serves every request that waits, and none of
 * them has to hear of the events before. A message is a run's id; when somebody waits for its result and that is small, the
 * result follows after a blank. It saves that request a look at the row, which holds the same.
 */
export function endedChannel(prefix: string): string {
  return `${prefix}:ended`;
}
/** Channel of the hints to workers: `cancel <run id>`, `follow <run id>`. */
export function controlChannel(prefix: string): string {
  return `${prefix}:control`;
}
/** Channel of the hints that a run of the thread was accepted. Thread ids are clients' text: their hash is the name. */
export function threadChannel(prefix: string, tenantId: string, threadId: string): string {
  return `${prefix}:thread:${createHash("sha256").update(`${tenantId}/${threadId}`).digest("base64url")}`;
}
