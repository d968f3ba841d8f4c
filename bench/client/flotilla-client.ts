import { Agent, request } from "undici";
import { SseReader, type SseEvent } from "./sse-reader.ts";

/** The answer to a submission that waited for its run's end. */
export interface CallResult {
  result: Record<string, unknown>;
  thread_id: string;
  run_id: string;
  status: string;
  interrupts: { id: string; value: unknown }[];
}

/** The answer to a submission that did not wait. */
export interface Handle {
  thread_id: string;
  run_id: string;
  status: string;
}

export interface StreamOptions {
  onEvent(event: SseEvent): void;
  /** The headers are there. */
  onOpen?(): void;
}

/** Seconds that a call waits for its run: far more than any run here takes. */
const WAIT_SECONDS = 120;

/** A client of the small dialect. Undici by itself: what it costs is taken from the server on the same machine. */
export class FlotillaClient {
  readonly url: string;
  readonly #calls = new Agent({ connections: 1024, pipelining: 1, headersTimeout: 600_000, bodyTimeout: 600_000 });
  /** A connection per stream, none kept. */
  readonly #streams = new Agent({ connections: 1024, pipelining: 0, headersTimeout: 600_000, bodyTimeout: 600_000 });

  constructor(url: string) {
    this.url = url.replace(/\/$/, "");
  }

  /** Submits a run on a new thread and waits for its end. */
  invoke(graph: string, input: unknown): Promise<CallResult> {
    return this.#json("POST", `/graphs/${graph}/invoke?wait=${WAIT_SECONDS}`, { input });
  }

  /** Submits a run on a new thread and does not wait. */
  submit(graph: string, input: unknown, options: { stream_mode?: string[] } = {}): Promise<Handle> {
    return this.#json("POST", `/graphs/${graph}/invoke`, { input, ...options });
  }

  /** Answers the question that a thread waits for, and waits for the end of the run that goes on. */
  resume(graph: string, threadId: string, answer: unknown): Promise<CallResult> {
    return this.#json("POST", `/graphs/${graph}/resume?wait=${WAIT_SECONDS}`, {
      thread_id: threadId,
      resume_data: answer,
    });
  }

  getRun({ thread_id, run_id }: Handle): Promise<Handle> {
    return this.#json("GET", `/threads/${thread_id}/runs/${run_id}`);
  }

  /** Submits a run on a new thread and follows it to the end of its stream. */
  stream(graph: string, input: unknown, streamModes: string[], options: StreamOptions): Promise<void> {
    return this.#follow("POST", `/graphs/${graph}/stream`, { input, stream_mode: streamModes }, options);
  }

  /** Follows a run that exists to the end of its stream. */
  join({ thread_id, run_id }: Handle, options: StreamOptions): Promise<void> {
    return this.#follow("GET", `/threads/${thread_id}/runs/${run_id}/stream`, undefined, options);
  }

  async close(): Promise<void> {
    await Promise.all([this.#calls.close(), this.#streams.close()]);
  }

  async #json<T>(method: "GET" | "POST", path: string, body?: unknown): Promise<T> {
    const response = await request(this.url + path, { method, dispatcher: this.#calls, ...jsonBody(body) });
    const text = await response.body.text();
    if (response.statusCode >= 300) throw refused(method, path, response.statusCode, text);
    return JSON.parse(text) as T;
  }

  async #follow(
    method: "GET" | "POST",
    path: string,
    body: unknown,
    { onEvent, onOpen }: StreamOptions,
  ): Promise<void> {
    const response = await request(this.url + path, { method, dispatcher: this.#streams, ...jsonBody(body) });
    if (response.statusCode !== 200) throw refused(method, path, response.statusCode, await response.body.text());
    onOpen?.();
    const reader = new SseReader(onEvent);
    response.body.setEncoding("utf8");
    for await (const part of response.body) reader.read(part as string);
  }
}

function jsonBody(body: unknown): { headers?: Record<string, string>; body?: string } {
  return body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

function refused(method: string, path: string, status: number, text: string): Error {
  return new Error(`${method} ${path} was answered with ${status}: ${text.slice(0, 300)}`);
}
