import { v5 as uuidV5 } from "uuid";

/** Namespace of the ids of default assistants, one per graph. It is LangGraph's own, not RFC 4122's. */
const NAMESPACE = "6ba7b821-9dad-11d1-80b4-00c04fd430c8";

const ids = new Map<string, string>();

/** The id of a graph's default assistant, a hash of its name. Computed once for each graph of the server. */
export function defaultAssistantId(graphId: string): string {
  let id = ids.get(graphId);
  if (id === undefined) {
    id = uuidV5(graphId, NAMESPACE);
    ids.set(graphId, id);
  }
  return id;
}
