import { load } from "@langchain/core/load";
import { DeltaSnapshot, type SerializerProtocol } from "@langchain/langgraph-checkpoint";

/**
 * The key under which a plain user object that carries `lc` (or this key) is stored, as a list of entries.
 * LangGraph's stock serde would revive such an object as a class when it is read, or throw: a message of a user could make
 * its thread unreadable for ever. Stored as entries it is data and nothing else.
 */
const ESCAPED = "__flotilla_plain__";

/** Constructor envelopes (`lc: 1`) that LangGraph itself writes into state. Everything else stays inert data. */
const REVIVED_NAMESPACES = new Set(["messages", "documents", "prompt_values", "chat_history"]);

interface Envelope {
  lc: 1 | 2;
  type: string;
  id?: unknown;
  args?: unknown;
  value?: unknown;
}

/**
 * JSON form of channel values, compatible with LangGraph's `JsonPlusSerializer` in both directions, but safe on user data:
 * `dumps` escapes plain objects that look like envelopes, `loads` revives a closed set and never throws on foreign data.
 */
export class SafeSerde implements SerializerProtocol {
  // eslint-disable-next-line require-await -- the protocol is asynchronous
  async dumpsTyped(value: unknown): Promise<[string, Uint8Array]> {
    return value instanceof Uint8Array ? ["bytes", value] : ["json", Buffer.from(dumps(value), "utf8")];
  }

  async loadsTyped(type: string, data: Uint8Array | string): Promise<unknown> {
    if (type === "bytes") return typeof data === "string" ? Buffer.from(data, "utf8") : data;
    return loads(typeof data === "string" ? data : Buffer.from(data).toString("utf8"));
  }
}

/** The JSON text of a channel value. Cycles become the string "[Circular]". */
export function dumps(value: unknown): string {
  try {
    return JSON.stringify(value, replacer) ?? JSON.stringify({ lc: 2, type: "undefined" });
  } catch (error) {
    if (error instanceof TypeError && /circular/i.test(error.message)) return JSON.stringify(value, cycleBreaker());
    throw error;
  }
}

/** The value of a JSON text that `dumps` or the stock serde made. Only text that holds an envelope is walked. */
export async function loads(text: string): Promise<unknown> {
  const parsed: unknown = JSON.parse(text);
  return text.includes('"lc"') || text.includes(ESCAPED) ? revive(parsed) : parsed;
}

function replacer(this: unknown, key: string, value: unknown): unknown {
  // JSON.stringify has called toJSON on `value` already; the holder still has the original.
  const original = (this as Record<string, unknown>)[key];
  if (original === undefined) return { lc: 2, type: "undefined" };
  if (typeof original !== "object" || original === null) return value;
  if (isPlain(original)) {
    return "lc" in original || ESCAPED in original ? { [ESCAPED]: Object.entries(original) } : value;
  }
  if (original instanceof DeltaSnapshot) return { lc: 2, type: "delta_snapshot", value: original.value };
  if (original instanceof Set) return constructorEnvelope("Set", [[...original]]);
  if (original instanceof Map) return constructorEnvelope("Map", [[...original]]);
  if (original instanceof RegExp) return constructorEnvelope("RegExp", [original.source, original.flags]);
  if (original instanceof Error) return constructorEnvelope("Error", [original.message]);
  if (original instanceof Uint8Array) return constructorEnvelope("Uint8Array", [[...original]], "from");
  if ("lg_name" in original && original.lg_name === "Send") {
    const send = original as unknown as { node: string; args: unknown; timeout?: unknown };
    return { node: send.node, args: send.args, ...(send.timeout === undefined ? {} : { timeout: send.timeout }) };
  }
  return value;
}

function constructorEnvelope(name: string, args: unknown[], method: string | null = null): object {
  return new PlainEnvelope({ lc: 2, type: "constructor", id: [name], method, args, kwargs: {} });
}

/** An envelope of our own making: its prototype tells the replacer not to escape it. */
class PlainEnvelope {
  constructor(fields: object) {
    Object.assign(this, fields);
  }
}

function cycleBreaker(): (this: unknown, key: string, value: unknown) => unknown {
  const ancestors: unknown[] = [];
  return function (this: unknown, key: string, value: unknown): unknown {
    const next = replacer.call(this, key, value);
    while (ancestors.length > 0 && ancestors.at(-1) !== this) ancestors.pop();
    if (typeof next !== "object" || next === null) return next;
    if (ancestors.includes(value)) return "[Circular]";
    ancestors.push(next);
    return next;
  };
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Rebuilds what `dumps` encoded, from the leaves upwards. */
export async function revive(value: unknown): Promise<unknown> {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Promise.all(value.map(revive));
  if (isEscaped(value)) {
    const entries = await Promise.all(value[ESCAPED].map(async ([key, inner]) => [key, await revive(inner)] as const));
    return plainObject(entries);
  }
  const revived = plainObject(
    await Promise.all(Object.entries(value).map(async ([key, inner]) => [key, await revive(inner)] as const)),
  );
  if (!isEnvelope(revived)) return revived;
  if (revived.lc === 2) return reviveNative(revived);
  return isLangChainConstructor(revived) ? reviveLangChain(revived) : revived;
}

/** Own properties only: a key `__proto__` in data must never reach a setter. */
function plainObject(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [key, value] of entries) {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return object;
}

function isEscaped(value: object): value is { [ESCAPED]: [string, unknown][] } {
  const entries = (value as Record<string, unknown>)[ESCAPED];
  return Array.isArray(entries) && entries.every((e) => Array.isArray(e) && e.length === 2 && typeof e[0] === "string");
}

function isEnvelope(value: object): value is Envelope {
  return "lc" in value && (value.lc === 1 || value.lc === 2) && "type" in value && typeof value.type === "string";
}

function isLangChainConstructor(envelope: Envelope): boolean {
  const { id } = envelope;
  return (
    envelope.type === "constructor" &&
    Array.isArray(id) &&
    id.length >= 3 &&
    id.every((part) => typeof part === "string") &&
    (id[0] === "langchain_core" || id[0] === "langchain") &&
    REVIVED_NAMESPACES.has(id[1] as string)
  );
}

async function reviveLangChain(envelope: Envelope): Promise<unknown> {
  try {
    return await load(JSON.stringify(envelope));
  } catch {
    return envelope; // foreign data that only looks like a message stays data: a thread must always be readable
  }
}

function reviveNative(envelope: Envelope): unknown {
  if (envelope.type === "undefined") return undefined;
  if (envelope.type === "delta_snapshot" && "value" in envelope) return new DeltaSnapshot(envelope.value);
  const { id, args } = envelope;
  if (envelope.type !== "constructor" || !Array.isArray(id) || id.length !== 1 || !Array.isArray(args)) return envelope;
  const [first, second] = args as unknown[];
  try {
    if (id[0] === "Set" && Array.isArray(first)) return new Set(first);
    if (id[0] === "Map" && Array.isArray(first)) return new Map(first as [unknown, unknown][]);
    if (id[0] === "RegExp" && typeof first === "string")
      return new RegExp(first, typeof second === "string" ? second : "");
    if (id[0] === "Error" && typeof first === "string") return new Error(first);
    if (id[0] === "Uint8Array" && Array.isArray(first)) return new Uint8Array(first as number[]);
  } catch {
    return envelope;
  }
  return envelope;
}
