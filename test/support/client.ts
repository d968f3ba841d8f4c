import { readEvents, type StreamEvent } from "../../apps/cli/src/demo/sse-events.ts";

// A plain HTTP client: what the wire says, without an SDK's kindness.

export interface Answer {
  status: number;
  headers: Headers;
  // eslint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  body: any;
}

export class TestClient {
  readonly url: string;
  readonly #headers: Record<string, string>;

  constructor(url: string, headers: Record<string, string> = {}) {
    this.url = url;
    this.#headers = headers;
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send("GET", path, undefined, headers);
  }

  post(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send("POST", path, JSON.stringify(body), headers);
  }

  delete(path: string): Promise<Answer> {
    return this.send("DELETE", path, undefined, {});
  }

  /** With a body sent as it is. */
  async send(method: string, path: string, body: string | undefined, headers: Record<string, string>): Promise<Answer> {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...this.#headers, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") === true && text.trim() !== "";
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }

  /** Opens a stream of Server-Sent Events. */
  async open(
    method: "GET" | "POST",
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<OpenStream> {
    const abort = new AbortController();
    const response = await fetch(this.url + path, {
      method,
      headers: { ...this.#headers, accept: "text/event-stream", ...headers },
      signal: abort.signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.status !== 200) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return new OpenStream(response, abort);
  }

  /** All events of a stream until it ends. */
  async events(
    method: "GET" | "POST",
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<StreamEvent[]> {
    return (await this.open(method, path, body, headers)).rest();
  }
}

export class OpenStream {
  readonly headers: Headers;
  readonly seen: StreamEvent[] = [];
  /** Kept: fetch cancels the body of a response that was collected before anybody read it. */
  readonly response: Response;
  readonly #events: AsyncGenerator<StreamEvent>;
  readonly #abort: AbortController;

  constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.headers = response.headers;
    this.#abort = abort;
    this.#events = readEvents(response.body as ReadableStream<Uint8Array>);
  }

  /** `/threads/…/runs/…` of the run that is streamed. */
  get runPath(): string {
    const path = this.headers.get("content-location");
    if (path === null) throw new Error("the stream has no Content-Location");
    return path;
  }

  get lastId(): string {
    return this.seen.findLast((event) => event.id !== undefined)?.id ?? "";
  }

  /** The next event; undefined at the end or when the connection broke. */
  async next(): Promise<StreamEvent | undefined> {
    const result = await this.#events.next().catch(() => ({ done: true as const, value: undefined }));
    if (result.done === true) return undefined;
    this.seen.push(result.value);
    return result.value;
  }

  /** Reads on until an event fulfils the condition. */
  async until(condition: (event: StreamEvent) => boolean): Promise<StreamEvent> {
    for (let event = await this.next(); event !== undefined; event = await this.next())
      if (condition(event)) return event;
    throw new Error(`the stream ended before; it had ${this.seen.map((event) => event.event).join(", ")}`);
  }

  async rest(): Promise<StreamEvent[]> {
    while ((await this.next()) !== undefined);
    return this.seen;
  }

  close(): void {
    this.#abort.abort();
  }
}

/** Event ids as numbers: `[attempt, n]`. */
export function idsOf(events: StreamEvent[]): [number, bigint][] {
  return events.flatMap(({ id }) => {
    if (id === undefined) return [];
    const [attempt, n] = id.split("-") as [string, string];
    return [[Number(attempt), BigInt(n)] as [number, bigint]];
  });
}

/** What G4 promises of the events that one client saw, reconnects included. */
export function violationsOf(events: StreamEvent[]): string[] {
  const problems: string[] = [];
  const ids = idsOf(events);
  ids.forEach(([attempt, n], i) => {
    const before = ids[i - 1];
    if (before === undefined) return;
    if (attempt < before[0] || (attempt === before[0] && n <= before[1]))
      problems.push(`id ${attempt}-${n} after ${before.join("-")}`);
  });
  const ends = events.filter((event) => event.event === "end").length;
  if (ends !== 1) problems.push(`${ends} ends`);
  if (events.at(-1)?.event !== "end") problems.push(`the last event is ${events.at(-1)?.event}`);
  const END = 18_446_744_073_709_551_000n;
  const gaps = events.filter((event) => event.event === "gap").length;
  for (let i = 1; i < ids.length && gaps === 0; i++) {
    const [before, now] = [ids[i - 1], ids[i]] as [[number, bigint], [number, bigint]];
    if (now[0] === before[0] && now[1] < END && now[1] !== before[1] + 1n)
      problems.push(`hole between ${before.join("-")} and ${now.join("-")}`);
    if (now[0] > before[0] && now[1] !== 1n) problems.push(`attempt ${now[0]} begins at ${now[1]}`);
  }
  return problems;
}
