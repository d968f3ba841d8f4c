import { v5 as uuidV5 } from "uuid";

/** Namespace of the ids of default assistants, one per graph. It is LangGraph's own, not RFC 4122's. */
const ASSISTANT_NAMESPACE = "6ba7b821-9dad-11d1-80b4-00c04fd430c8";

const assistantIds = new Map<string, string>();

/** Computed once for each graph of the server: a hash of its name. */
export function defaultAssistantId(graphId: string): string {
  let id = assistantIds.get(graphId);
  if (id === undefined) {
    id = uuidV5(graphId, ASSISTANT_NAMESPACE);
    assistantIds.set(graphId, id);
  }
  return id;
}
