import type { Run } from "@flotilla/shared/runs/run";

/** A run as clients see it, AGENT_SERVER_API section 2: without what names the server's own parts. */
export function visibleRun({
  tenant_id: _tenant,
  kwargs: {
    listening: _listening,
    headers: _headers,
    replay: _replay,
    stream_subgraphs: subgraphs = false,
    resumable = false,
    ...kwargs
  },
  story,
  retry_of,
  ...run
}: Run): object {
  return {
    ...run,
    ...(retry_of === null ? {} : { retry_of }),
    kwargs: { ...kwargs, subgraphs, stream_subgraphs: subgraphs, resumable },
    story: story.map(({ holder: _holder, ...chapter }) => chapter),
  };
}
