import type { BaseMessage, BaseMessageChunk } from "@langchain/core/messages";
import { cleanDebugPayload } from "./debug-payload.ts";
import { isMessage, messageToWire, toWireJson } from "@flotilla/shared/protocol/wire-value";

/** Turns what LangGraph streams into events: names and shapes of AGENT_SERVER_API section 7.3 and 7.4. */

/** Stream modes a client may ask for. */
export const STREAM_MODES = [
  "values",
  "updates",
  "messages",
  "messages-tuple",
  "custom",
  "events",
  "debug",
  "tasks",
  "checkpoints",
  "tools",
] as const;
export type StreamMode = (typeof STREAM_MODES)[number];

type Emit = (event: string, data: string) => void;

/** The modes LangGraph has to be asked for; `messages` serves both forms of it, `events` comes another way. */
export function engineModes(modes: readonly string[]): string[] {
  return [
    ...new Set(
      modes.filter((mode) => mode !== "events").map((mode) => (mode === "messages-tuple" ? "messages" : mode)),
    ),
  ];
}

/** One per attempt: accumulates what the `messages` mode needs and writes events through `emit`. */
export class ChunkEvents {
  readonly #modes: ReadonlySet<string>;
  readonly #emit: Emit;
  readonly #messages = new Map<string, BaseMessageChunk>();
  readonly #complete = new Set<string>();
  #metadata: { value: unknown; json: string } | undefined;

  constructor(modes: readonly string[], emit: Emit) {
    this.#modes = new Set(modes);
    this.#emit = emit;
  }

  /** @param namespace of the subgraph, `[]` for the root. */
  chunk(namespace: readonly string[], mode: string, payload: unknown): void {
    const suffix = namespace.length === 0 ? "" : `|${namespace.join("|")}`;
    if (mode === "messages") return this.#message(suffix, payload as [BaseMessage, Record<string, unknown>]);
    if (!this.#modes.has(mode)) return; // LangGraph adds checkpoint envelopes of its own
    const clean =
      mode === "debug" || mode === "tasks" || mode === "checkpoints" ? cleanDebugPayload(mode, payload) : payload;
    this.#emit(mode + suffix, toWireJson(clean));
  }

  /** A LangChain event of mode `events`. */
  event(event: unknown): void {
    this.#emit("events", toWireJson(event));
  }

  #message(suffix: string, [message, metadata]: [BaseMessage, Record<string, unknown>]): void {
    if (!isMessage(message)) return;
    if (this.#modes.has("messages-tuple")) {
      this.#emit(`messages${suffix}`, `[${JSON.stringify(messageToWire(message))},${this.#metadataJson(metadata)}]`);
    }
    if (this.#modes.has("messages")) this.#accumulated(suffix, message, metadata);
  }

  /** The accumulating form: metadata once per message, then the whole message so far with each chunk. */
  #accumulated(suffix: string, message: BaseMessage, metadata: Record<string, unknown>): void {
    const id = message.id ?? "";
    const known = this.#messages.get(id);
    if (known === undefined && !this.#complete.has(id)) {
      this.#emit(`messages/metadata${suffix}`, `{${JSON.stringify(id)}:{"metadata":${this.#metadataJson(metadata)}}}`);
    }
    if (!isChunk(message)) {
      this.#complete.add(id);
      this.#emit(`messages/complete${suffix}`, toWireJson([message]));
      return;
    }
    const whole = known === undefined ? message : known.concat(message);
    this.#messages.set(id, whole);
    this.#emit(`messages/partial${suffix}`, toWireJson([whole]));
  }

  /** The chunks of one model call share one metadata object: it is serialised once. */
  #metadataJson(metadata: Record<string, unknown>): string {
    if (this.#metadata?.value !== metadata) {
      const visible = Object.fromEntries(Object.entries(metadata).filter(([key]) => !key.startsWith("__")));
      this.#metadata = { value: metadata, json: toWireJson(visible) };
    }
    return this.#metadata.json;
  }
}

function isChunk(message: BaseMessage): message is BaseMessageChunk {
  return "concat" in message && typeof message.concat === "function";
}
