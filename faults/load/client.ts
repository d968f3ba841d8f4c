import { setTimeout as delay } from "node:timers/promises";
import { Agent, request } from "undici";
import type { Fleet, Tenant } from "../stack/fleet.ts";
import { readSse } from "./read-sse.ts";

export interface Handle {
  thread_id: string;
  run_id: string;
}

/** What a client saw of one run's stream. */
export interface SeenStream {
  run: string;
  thread: string;
  events: string[];
  connections: number;
  last: string;
  /** When the first event came after each new connection, in ms after the old one broke. */
  catchUpsMs: number[];
}

interface Answer {
  status: number;
  body: Record<string, unknown>;
  location: string | undefined;
}

/** A try takes at most this long, in ms; then the client asks another gateway. */
const TRY_MS = 8_000;
/** Silence of a stream for this long is taken as a dead connection: heartbeats come every 5 s. */
const SILENCE_MS = 12_000;

/**
 * A client as applications should be: it repeats what was not answered, under one Idempotency-Key, at whichever gateway
 * is there, and reconnects to streams with Last-Event-ID.
 */
export class CampaignClient {
  readonly #fleet: Fleet;
  readonly #tenant: Tenant;
  readonly #patienceMs: number;
  readonly #agent = new Agent({ connections: 256, pipelining: 1, keepAliveTimeout: 2_000, connectTimeout: 2_000 });
  #turn = 0;

  /** @param patienceMs what the client puts up with before it gives up */
  constructor(fleet: Fleet, tenant: Tenant, patienceMs = 120_000) {
    this.#fleet = fleet;
    this.#tenant = tenant;
    this.#patienceMs = patienceMs;
  }

  get tenant(): string {
    return this.#tenant.id;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /** Submits until it is answered with 2xx or refused for good. @returns undefined when the client gave up. */
  async submit(path: string, body: object, key: string): Promise<Answer | undefined> {
    return this.#persist("POST", path, body, { "idempotency-key": key });
  }

  /** Asks until an answer comes. */
  get(path: string): Promise<Answer | undefined> {
    return this.#persist("GET", path, undefined, {});
  }

  post(path: string, body: object = {}): Promise<Answer | undefined> {
    return this.#persist("POST", path, body, {});
  }

  /** Waits until a run has ended, whatever happens meanwhile. @returns its row as the API shows it. */
  async ended({ thread_id, run_id }: Handle): Promise<Record<string, unknown> | undefined> {
    const deadline = performance.now() + this.#patienceMs;
    for (let pauseMs = 20; performance.now() < deadline; pauseMs = Math.min(pauseMs * 1.6, 500)) {
      const answer = await this.get(`/threads/${thread_id}/runs/${run_id}`);
      if (answer === undefined) return undefined;
      if (answer.status === 404) return { status: "deleted" };
      const { status } = answer.body as { status: string };
      if (status !== "pending" && status !== "running") return answer.body;
      await delay(pauseMs);
    }
    return undefined;
  }

  /**
   * Follows a run to its `end` over as many connections as it takes.
   * @param first how to open the first one, at `url` if that is given; the others join wherever a gateway is.
   */
  async follow(first: { path: string; body?: object; key?: string; url?: string }): Promise<SeenStream | undefined> {
    const seen: SeenStream = { run: "", thread: "", events: [], connections: 0, last: "", catchUpsMs: [] };
    const deadline = performance.now() + this.#patienceMs;
    let cursor: string | undefined;
    let path = first.path;
    let brokeAt: number | undefined;
    while (performance.now() < deadline) {
      const abort = new AbortController();
      let silence = setTimeout(() => abort.abort(), SILENCE_MS);
      const patience = setTimeout(() => abort.abort(), deadline - performance.now()); // heartbeats may come for ever
      try {
        const joins = seen.run !== "";
        const url = seen.connections === 0 && brokeAt === undefined ? first.url : undefined;
        const response = await request((url ?? this.#url()) + path, {
          method: joins || first.body === undefined ? "GET" : "POST",
          dispatcher: this.#agent,
          signal: abort.signal,
          headersTimeout: SILENCE_MS,
          bodyTimeout: SILENCE_MS,
          headers: {
            "x-api-key": this.#tenant.key,
            accept: "text/event-stream",
            ...(cursor === undefined ? {} : { "last-event-id": cursor }),
            ...(joins || first.body === undefined ? {} : { "content-type": "application/json" }),
            ...(joins || first.key === undefined ? {} : { "idempotency-key": first.key }),
          },
          ...(joins || first.body === undefined ? {} : { body: JSON.stringify(first.body) }),
        });
        if (response.statusCode !== 200) {
          await response.body.dump();
          if (response.statusCode === 404 && joins) return seen; // rolled back
          throw new Error(`status ${response.statusCode}`);
        }
        path = String(response.headers["content-location"] ?? path).replace(/(\/stream)?$/, "/stream");
        const [, thread, run] = /threads\/([^/]+)\/runs\/([^/]+)/.exec(path) ?? [];
        Object.assign(seen, thread !== undefined && run !== undefined && { thread, run });
        seen.connections++;
        for await (const event of readSse(response.body)) {
          clearTimeout(silence);
          silence = setTimeout(() => abort.abort(), SILENCE_MS);
          if (event === "sign of life") continue;
          if (brokeAt !== undefined) seen.catchUpsMs.push(performance.now() - brokeAt);
          brokeAt = undefined;
          seen.events.push(`${event.id ?? "-"} ${event.event}`);
          seen.last = event.data.slice(0, 2_000);
          cursor = event.id ?? cursor;
          if (event.event === "end") return seen;
        }
      } catch {
        // the connection broke, or nobody was there
      } finally {
        clearTimeout(silence);
        clearTimeout(patience);
        abort.abort();
      }
      brokeAt ??= performance.now();
      await delay(50);
    }
    return seen.run === "" ? undefined : seen;
  }

  async #persist(
    method: "GET" | "POST",
    path: string,
    body: object | undefined,
    headers: Record<string, string>,
  ): Promise<Answer | undefined> {
    const deadline = performance.now() + this.#patienceMs;
    for (let pauseMs = 30; performance.now() < deadline; pauseMs = Math.min(pauseMs * 2, 1_000)) {
      const answer = await this.#try(method, path, body, headers);
      if (answer !== undefined && answer.status < 500 && answer.status !== 408 && answer.status !== 429) return answer;
      await delay(pauseMs);
    }
    return undefined;
  }

  async #try(
    method: "GET" | "POST",
    path: string,
    body: object | undefined,
    headers: Record<string, string>,
  ): Promise<Answer | undefined> {
    try {
      const response = await request(this.#url() + path, {
        method,
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(TRY_MS),
        headers: {
          "x-api-key": this.#tenant.key,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.body.text();
      const isJson = String(response.headers["content-type"]).includes("json") && text !== "";
      return {
        status: response.statusCode,
        body: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
        location: response.headers["content-location"] as string | undefined,
      };
    } catch {
      return undefined; // nobody there, or no answer in time: it may have been accepted
    }
  }

  /** Of one gateway after the other, those that are known to be down left out. */
  #url(): string {
    const urls = this.#fleet.gateways.flatMap(({ process }) => process.url ?? []);
    if (urls.length === 0) throw new Error("no gateway is up");
    return urls[this.#turn++ % urls.length] as string;
  }
}
