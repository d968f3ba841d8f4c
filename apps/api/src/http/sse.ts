import type { Response } from "express";
import type { RunEvent } from "@flotilla/shared/events/event-batch";
import { formatEventId } from "@flotilla/shared/events/event-id";

/** Time between heartbeats, from the opening on, in ms. Clients measure it and reconnect when it stops. */
const HEARTBEAT_MS = 5_000;

export interface StallLimit {
  /** A client that takes nothing for this long is closed; it can resume. In ms. */
  stallMs: number;
  /** Called when one is closed for that. */
  onStalled?(): void;
}

/**
 * A Server-Sent Events response: framing, heartbeats, back-pressure, disconnect.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 *
 * Heartbeats are comment lines with a single newline: after a blank line some clients see an empty event.
 */
export class SseStream {
  readonly #response: Response;
  readonly #heartbeat: NodeJS.Timeout;
  readonly #gone = new AbortController();
  #endedHere = false;
  #opening = `retry: 1000\n`;

  constructor(response: Response, headers: Record<string, string>, limit: StallLimit) {
    this.#response = response;
    const all = {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      connection: "keep-alive",
      ...headers,
    };
    for (const [name, value] of Object.entries(all)) response.setHeader(name, value); // Express would add a charset
    response.socket?.setNoDelay(true);
    response.status(200).flushHeaders();
    if (response.destroyed) this.#gone.abort(); // the client left before: "close" does not come again
    response.once("close", () => this.#close());
    this.#closeWhenStalled(limit);
    this.#heartbeat = setInterval(() => {
      if (this.#gone.signal.aborted) clearInterval(this.#heartbeat);
      else if (!response.writableNeedDrain) response.write(": heartbeat\n");
    }, HEARTBEAT_MS);
  }

  /** Aborted when the client is gone or the stream was ended. */
  get closed(): AbortSignal {
    return this.#gone.signal;
  }

  /** Whether it was the client that went, not the end of the stream or of this gateway. */
  get clientLeft(): boolean {
    return this.#gone.signal.aborted && !this.#endedHere;
  }

  /**
   * Writes events; resolves when the client can take more. False when it is gone.
   * @param prefix goes before each id, where events of several runs are in one stream.
   */
  async write(events: readonly RunEvent[], prefix = ""): Promise<boolean> {
    let text = this.#opening;
    this.#opening = "";
    for (const event of events) text += prefix === "" ? sharedFrameOf(event) : frameOf(event, prefix);
    return this.#send(text);
  }

  /** An event that the gateway adds for this client alone, without an id of its own unless given. */
  async writeEvent(event: string, data: string, id?: string): Promise<boolean> {
    const opening = this.#opening;
    this.#opening = "";
    return this.#send(`${opening}${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`);
  }

  /** Ends the stream; with a hint when to come back, for a gateway that goes away. */
  end(retryMs?: number): void {
    if (this.#gone.signal.aborted) return;
    this.#endedHere = true;
    this.#response.end(retryMs === undefined ? "" : `retry: ${retryMs}\n\n`);
    this.#close();
  }

  #close(): void {
    clearInterval(this.#heartbeat);
    this.#gone.abort();
  }

  async #send(text: string): Promise<boolean> {
    if (this.#gone.signal.aborted) return false;
    return this.#response.write(text) || this.#drained();
  }

  /**
   * The socket's own timer, because it sees a large event go out bit by bit: a client that takes one slowly is not closed, or it
   * would never get past it, however often it resumes.
   */
  #closeWhenStalled({ stallMs, onStalled }: StallLimit): void {
    this.#response.setTimeout(stallMs, () => {
      if (this.#gone.signal.aborted) return;
      if (!this.#response.writableNeedDrain) return void this.#response.setTimeout(stallMs); // nothing to take
      this.#endedHere = true;
      onStalled?.();
      this.#response.destroy();
    });
  }

  /** Until the client can take more; false when it is gone. */
  #drained(): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (drained: boolean) => {
        this.#response.off("drain", onDrain);
        this.#gone.signal.removeEventListener("abort", onGone);
        resolve(drained);
      };
      const onDrain = () => settle(true);
      const onGone = () => settle(false);
      this.#response.once("drain", onDrain);
      this.#gone.signal.addEventListener("abort", onGone, { once: true });
    });
  }
}

/** The frame of an event is made once, however many clients get it. */
const frames = new WeakMap<RunEvent, string>();

function sharedFrameOf(event: RunEvent): string {
  let frame = frames.get(event);
  if (frame === undefined) {
    frame = frameOf(event, "");
    frames.set(event, frame);
  }
  return frame;
}

function frameOf(event: RunEvent, prefix: string): string {
  return `id: ${prefix}${formatEventId(event.id)}\nevent: ${event.event.replace(/[\r\n]/g, " ")}\ndata: ${event.data}\n\n`;
}
