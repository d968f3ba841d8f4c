import type { CheckpointRow } from "@flotilla/shared/graphs/checkpoints/checkpoint-row";

type Names = "*" | readonly PropertyKey[];

export interface BreakpointQuestion {
  checkpoint: CheckpointRow["checkpoint"];
  /** Nodes of the step that would come next. */
  next: readonly string[];
  before: Names;
  after: Names;
  /** The parent checkpoint, when the last step was one of the loop's. Read only if needed. */
  parent(): Promise<CheckpointRow | undefined>;
}

/**
 * Whether a static breakpoint stopped the graph at this checkpoint. LangGraph notes in `versions_seen.__interrupt__` what it
 * has stopped for; channels that are newer mean that it has not gone on since.
 */
export async function isBreakpoint({ checkpoint, next, before, after, parent }: BreakpointQuestion): Promise<boolean> {
  const seen = checkpoint.versions_seen?.["__interrupt__"] ?? {};
  const newer = Object.entries(checkpoint.channel_versions ?? {}).some(
    ([channel, version]) => version > (seen[channel] ?? 0),
  );
  if (!newer) return false;
  if (names(before, next)) return true;
  if (after.length === 0) return false;
  const previous = await parent();
  if (previous === undefined) return false;
  const ran = Object.keys(checkpoint.versions_seen ?? {}).filter(
    (node) =>
      JSON.stringify(checkpoint.versions_seen[node]) !== JSON.stringify(previous.checkpoint.versions_seen?.[node]),
  );
  return names(
    after,
    ran.filter((node) => !node.startsWith("__")),
  );
}

function names(breakpoints: Names, nodes: readonly string[]): boolean {
  return breakpoints === "*" ? nodes.length > 0 : nodes.some((node) => breakpoints.includes(node));
}
