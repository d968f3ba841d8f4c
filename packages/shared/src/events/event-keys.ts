/** Names of what a run has in Redis. Run ids are UUIDs of ours: no client-chosen text reaches a key. */
export function streamKey(prefix: string, runId: string): string {
  return `${prefix}:events:${runId}`;
}
/** Channel of the wake-ups of a run: `e` for new events, `end` for its end. */
export function wakeChannel(prefix: string, runId: string): string {
  return `${prefix}:wake:${runId}`;
}
/** Channel of the hints to workers: `cancel <run id>`. */
export function controlChannel(prefix: string): string {
  return `${prefix}:control`;
}
