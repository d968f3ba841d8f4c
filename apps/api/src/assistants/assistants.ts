import type { GraphRegistry } from "@flotilla/shared/graphs/graph-registry";
import { NotFound } from "@flotilla/shared/errors";
import type { Pool } from "@flotilla/shared/postgres/pool";
import { defaultAssistantId } from "./default-assistant.ts";

export interface Assistant {
  assistant_id: string;
  graph_id: string;
  config: Record<string, unknown>;
  context: Record<string, unknown>;
  metadata: Record<string, unknown>;
}

/** Interim. */
export class Assistants {
  readonly #registry: GraphRegistry;
  constructor({ registry }: { pool: Pool; registry: GraphRegistry }) {
    this.#registry = registry;
  }
  async require(_tenantId: string, id: string): Promise<Assistant> {
    const graphId = this.#registry.ids.find((graph) => graph === id || defaultAssistantId(graph) === id);
    if (graphId === undefined) throw new NotFound("graph", `No assistant found for "${id}"`);
    return {
      assistant_id: defaultAssistantId(graphId),
      graph_id: graphId,
      config: {},
      context: {},
      metadata: { created_by: "system" },
    };
  }
}
