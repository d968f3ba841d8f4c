/** What a client asks for: a graph with a config, versioned. AGENT_SERVER_API section 2. */
export interface Assistant {
  assistant_id: string;
  graph_id: string;
  name: string;
  description: string | null;
  version: number;
  config: Record<string, unknown>;
  context: Record<string, unknown>;
  metadata: Record<string, unknown>;
  created_at: string;
  updated_at: string;
}

/** A state that an assistant was in. */
export type AssistantVersion = Omit<Assistant, "updated_at">;

export interface NewAssistant {
  assistantId: string;
  graphId: string;
  name: string;
  description: string | null;
  config: Record<string, unknown>;
  context: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

/** What a new version changes. Metadata is merged at its first level; the rest replaces. */
export interface AssistantChange {
  graphId?: string | undefined;
  name?: string | undefined;
  description?: string | undefined;
  config?: Record<string, unknown> | undefined;
  context?: Record<string, unknown> | undefined;
  metadata?: Record<string, unknown> | undefined;
}

/** Every condition that is given must hold. */
export interface AssistantFilter {
  /** Contained in the assistant's metadata. */
  metadata?: Record<string, unknown> | undefined;
  graphId?: string | undefined;
  /** Part of the name, in any case. */
  name?: string | undefined;
}

export interface AssistantPage {
  limit: number;
  offset: number;
  sortBy: "assistant_id" | "graph_id" | "name" | "created_at" | "updated_at";
  sortOrder: "asc" | "desc";
}
