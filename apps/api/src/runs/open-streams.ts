import type { Response } from "express";
import { SseStream } from "../http/sse.ts";
import type { GatewayMetrics } from "../metrics.ts";

/** The streams that this gateway has open, so that it can end them with a hint when it goes away. */
export class OpenStreams {
  readonly #open = new Set<SseStream>();
  readonly #metrics: GatewayMetrics;
  readonly #stallMs: number;
  #closing = false;

  /** @param stallMs how long a client may take nothing. */
  constructor(metrics: GatewayMetrics, stallMs: number) {
    this.#metrics = metrics;
    this.#stallMs = stallMs;
  }

  open(response: Response, headers: Record<string, string>): SseStream {
    const stream = new SseStream(response, headers, {
      stallMs: this.#stallMs,
      onStalled: () => this.#metrics.slowClient("closed"),
    });
    this.#open.add(stream);
    const closed = this.#metrics.streamOpened();
    stream.closed.addEventListener("abort", () => {
      this.#open.delete(stream);
      closed();
    });
    if (this.#closing) stream.end(1_000);
    return stream;
  }

  get isClosing(): boolean {
    return this.#closing;
  }

  /** Ends all of them. Clients come back, spread over two seconds, to another gateway. */
  endAll(): void {
    this.#closing = true;
    for (const stream of this.#open) stream.end(500 + Math.round(Math.random() * 2_000));
  }
}
