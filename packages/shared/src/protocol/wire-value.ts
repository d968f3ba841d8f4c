import type { BaseMessage } from "@langchain/core/messages";

/**
 * Values as clients see them (AGENT_SERVER_API section 2): a message is a flat object `{type, content, id, …}`, never
 * LangChain's constructor form. Serialised by the worker, once; the gateway copies.
 */

/** One line of JSON. */
export function toWireJson(value: unknown): string {
  return JSON.stringify(toWire(value)) ?? "null";
}

/** Replaces messages at any depth. What holds none is returned as it is, without a copy. */
export function toWire(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return mapArray(value);
  if (isMessage(value)) return messageToWire(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return classToWire(value);
  let copy: Record<string, unknown> | undefined;
  for (const key of Object.keys(value)) {
    const before = (value as Record<string, unknown>)[key];
    const after = toWire(before);
    if (after !== before) (copy ??= { ...(value as Record<string, unknown>) })[key] = after;
  }
  return copy ?? value;
}

function mapArray(items: unknown[]): unknown[] {
  let copy: unknown[] | undefined;
  items.forEach((item, i) => {
    const after = toWire(item);
    if (after !== item) (copy ??= [...items])[i] = after;
  });
  return copy ?? items;
}

function classToWire(value: object): unknown {
  if (value instanceof Map) return toWire(Object.fromEntries(value));
  if (value instanceof Set) return toWire([...value]);
  if (value instanceof Error) return { error: value.name, message: value.message };
  if ("lc_kwargs" in value && "pageContent" in value) {
    const { pageContent, metadata, id } = value as unknown as { pageContent: string; metadata: unknown; id?: string };
    return { page_content: pageContent, metadata: toWire(metadata), ...(id === undefined ? {} : { id }) };
  }
  return value; // its toJSON, if it has one, speaks for it
}

/** By shape: a project's graphs may bring a LangChain of their own. */
export function isMessage(value: object): value is BaseMessage {
  return "getType" in value && typeof value.getType === "function" && "content" in value;
}

const OPTIONAL = [
  "name",
  "tool_call_id",
  "status",
  "artifact",
  "tool_calls",
  "invalid_tool_calls",
  "tool_call_chunks",
  "usage_metadata",
] as const;

export function messageToWire(message: BaseMessage): Record<string, unknown> {
  const wire: Record<string, unknown> = {
    type: typeOf(message),
    content: toWire(message.content),
    id: message.id ?? null,
    additional_kwargs: toWire(message.additional_kwargs ?? {}),
    response_metadata: toWire(message.response_metadata ?? {}),
  };
  const fields = message as unknown as Record<string, unknown>;
  for (const name of OPTIONAL) if (fields[name] !== undefined) wire[name] = toWire(fields[name]);
  return wire;
}

/** `human`, `ai`, …; a chunk is named by its class: `AIMessageChunk`. */
function typeOf(message: BaseMessage): string {
  const name = (message.constructor as { lc_name?: () => string }).lc_name?.() ?? message.constructor.name;
  return name.endsWith("MessageChunk") ? name : message.getType();
}
