import { v7 as uuidV7, validate as isUuid } from "uuid";
import { Conflict, NotFound } from "@flotilla/shared/errors";
import type { GraphRegistry } from "@flotilla/shared/graphs/graph-registry";
import type { Pool } from "@flotilla/shared/postgres/pool";
import { inTransaction, retryConflicts } from "@flotilla/shared/postgres/transaction";
import {
  countAssistants,
  deleteAssistant,
  getAssistant,
  insertAssistant,
  insertDefaultAssistants,
  listAssistantVersions,
  restoreAssistantVersion,
  searchAssistants,
  updateAssistant,
  type AssistantScope,
} from "@flotilla/shared/assistants/assistant-queries";
import type {
  Assistant,
  AssistantChange,
  AssistantFilter,
  AssistantPage,
  AssistantVersion,
  NewAssistant,
} from "@flotilla/shared/assistants/assistant";
import type { AssistantDefaults } from "@flotilla/shared/protocol/assistant-body";
import { defaultAssistantId } from "./default-assistant.ts";

export interface AssistantsParts {
  pool: Pool;
  registry: GraphRegistry;
  /** What default assistants are made with, by graph id. */
  defaults: AssistantDefaults;
}

export type AssistantDraft = Omit<NewAssistant, "assistantId"> & {
  assistantId: string | undefined;
  ifExists: "raise" | "do_nothing";
};

/** Tenants that are known to have their default assistants. Another look costs one statement. */
const MAX_REMEMBERED = 10_000;

/**
 * Assistants of every tenant. Each tenant has a default assistant per graph, made when the tenant is first seen. A graph's
 * id is taken wherever an assistant's is.
 */
export class Assistants {
  readonly #pool: Pool;
  readonly #registry: GraphRegistry;
  readonly #defaults: NewAssistant[];
  readonly #equipped = new Set<string>();

  constructor({ pool, registry, defaults }: AssistantsParts) {
    this.#pool = pool;
    this.#registry = registry;
    this.#defaults = registry.describe().map(({ name, description }) => ({
      assistantId: defaultAssistantId(name),
      graphId: name,
      name,
      description,
      config: defaults[name]?.config ?? {},
      context: defaults[name]?.context ?? {},
      metadata: { created_by: "system" },
    }));
  }

  /**
   * The assistant of that id, or the default one of a graph of that id.
   * @throws NotFound
   */
  async require(tenantId: string, assistantOrGraphId: string): Promise<Assistant> {
    const scope = await this.#scopeOf(tenantId);
    const id = this.#idOf(assistantOrGraphId);
    const found = id === undefined ? undefined : await getAssistant(this.#pool, scope, id);
    return found ?? refuse(assistantOrGraphId);
  }

  /** @throws NotFound for an unknown graph; Conflict when the id is taken, unless that is to be ignored. */
  async create(tenantId: string, draft: AssistantDraft): Promise<Assistant> {
    this.#registry.require(draft.graphId);
    const scope = await this.#scopeOf(tenantId);
    const assistantId = draft.assistantId ?? uuidV7();
    const made = await retryConflicts(() => insertAssistant(this.#pool, tenantId, { ...draft, assistantId }));
    if (made !== undefined) return made;
    const existing = draft.ifExists === "raise" ? undefined : await getAssistant(this.#pool, scope, assistantId);
    if (existing !== undefined) return existing;
    throw new Conflict("already_exists", `Assistant "${assistantId}" exists already`);
  }

  async search(tenantId: string, filter: AssistantFilter, page: AssistantPage): Promise<Assistant[]> {
    return searchAssistants(this.#pool, await this.#scopeOf(tenantId), filter, page);
  }

  async count(tenantId: string, filter: AssistantFilter): Promise<number> {
    return countAssistants(this.#pool, await this.#scopeOf(tenantId), filter);
  }

  /** Makes a new version, the latest. @throws NotFound for the assistant and for an unknown graph. */
  async update(tenantId: string, assistantOrGraphId: string, change: AssistantChange): Promise<Assistant> {
    const { assistant_id: id } = await this.require(tenantId, assistantOrGraphId);
    if (change.graphId !== undefined) this.#registry.require(change.graphId);
    const scope = await this.#scopeOf(tenantId);
    const updated = await inTransaction(this.#pool, (client) => updateAssistant(client, scope, id, change));
    return updated ?? refuse(assistantOrGraphId);
  }

  /** Newest first. An assistant that is there has a version at least, so a page of none is past the end. @throws NotFound */
  async versions(
    tenantId: string,
    assistantOrGraphId: string,
    page: Parameters<typeof listAssistantVersions>[3],
  ): Promise<AssistantVersion[]> {
    const { assistant_id: id } = await this.require(tenantId, assistantOrGraphId);
    return listAssistantVersions(this.#pool, tenantId, id, page);
  }

  /** Goes back to a version, or forward again. @throws NotFound for the assistant and for the version. */
  async setLatest(tenantId: string, assistantOrGraphId: string, version: number): Promise<Assistant> {
    const { assistant_id: id } = await this.require(tenantId, assistantOrGraphId);
    const scope = await this.#scopeOf(tenantId);
    const restored = await retryConflicts(() => restoreAssistantVersion(this.#pool, scope, id, version));
    if (restored !== undefined) return restored;
    throw new NotFound("assistant version", `Assistant "${id}" has no version ${version}`);
  }

  /**
   * Deletes an assistant with its versions. A default assistant is made anew at once: whatever names its graph needs one, and
   * another gateway would make it at a time that nobody can foresee.
   * @throws NotFound
   */
  async delete(tenantId: string, assistantId: string): Promise<void> {
    const scope = await this.#scopeOf(tenantId);
    const deleted = await inTransaction(this.#pool, async (client) => {
      const wasThere = await deleteAssistant(client, scope, assistantId);
      const anew = this.#defaults.filter((one) => one.assistantId === assistantId);
      if (wasThere && anew.length > 0) await insertDefaultAssistants(client, tenantId, anew);
      return wasThere;
    });
    if (!deleted) refuse(assistantId);
  }

  #idOf(assistantOrGraphId: string): string | undefined {
    if (this.#registry.has(assistantOrGraphId)) return defaultAssistantId(assistantOrGraphId);
    return isUuid(assistantOrGraphId) ? assistantOrGraphId : undefined;
  }

  async #scopeOf(tenantId: string): Promise<AssistantScope> {
    if (!this.#equipped.has(tenantId)) {
      await retryConflicts(() => insertDefaultAssistants(this.#pool, tenantId, this.#defaults));
      if (this.#equipped.size >= MAX_REMEMBERED) this.#equipped.clear();
      this.#equipped.add(tenantId);
    }
    return { tenantId, graphs: this.#registry.ids };
  }
}

function refuse(assistantOrGraphId: string): never {
  throw new NotFound("assistant", `No assistant found for "${assistantOrGraphId}"`);
}
