import { setTimeout as delay } from "node:timers/promises";
import { reasonOf, StartupError } from "../stack/startup-error.ts";
import { readEvents, type StreamEvent } from "./sse-events.ts";

export interface FollowOptions {
  readonly url: string;
  readonly graph: string;
  readonly body: unknown;
  readonly apiKey: string | undefined;
  /** commands that mend what keeps a run from starting: no gateway, or one that asks for a key */
  readonly remedies: { readonly noGateway: string; readonly noKey: string };
  /** Longest time until an answer begins, in ms. */
  readonly answerMs?: number;
  /** Hears what happens to the connection. */
  say(line: string): void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4_000;
const PATIENCE_MS = 120_000;
const ANSWER_MS = 10_000;

/**
 * Starts a run and yields its events to the end. When the connection drops, it takes the stream up again after the last
 * event it has seen: the server replays what came in between.
 */
export async function* followRun(options: FollowOptions): AsyncGenerator<StreamEvent> {
  const { url, graph, say } = options;
  let response = await submit(options);
  const run = runOf(response, url);
  if (run === undefined) throw new Error(`${url} did not say where the run is (no Content-Location)`);
  say(`run ${run.split("/").at(-1)} of ${graph}: ${url}${run}`);

  let lastEventId: string | undefined;
  for (;;) {
    try {
      for await (const event of readEvents(bodyOf(response))) {
        lastEventId = event.id ?? lastEventId;
        yield event;
        if (event.event === "end") return;
      }
      say("the stream broke off; taking it up again");
    } catch (error) {
      say(`the connection is gone (${causeOf(error)}); taking it up again`);
    }
    response = await rejoin(`${url}${run}/stream`, lastEventId, options.apiKey);
    say("connected again");
  }
}

/** Where the run is below the server's URL, whose path a server that knows of it puts before its own. */
function runOf(response: Response, url: string): string | undefined {
  const path = response.headers.get("content-location");
  const base = new URL(url).pathname.replace(/\/$/, "");
  if (path === null) return undefined;
  return base !== "" && path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

async function submit({ url, graph, body, apiKey, remedies, answerMs = ANSWER_MS }: FollowOptions): Promise<Response> {
  let response: Response;
  try {
    const headers = { "content-type": "application/json", accept: "text/event-stream", ...authorisation(apiKey) };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    response = await request(`${url}/graphs/${graph}/stream`, init, answerMs);
  } catch (error) {
    throw new StartupError("demo", `nothing answers at ${url} (${causeOf(error)})`, {
      remedy: remedies.noGateway,
      cause: error,
    });
  }
  if (response.ok) return response;
  const why = `${url} answered ${response.status}: ${(await response.text()).slice(0, 500)}`;
  throw new StartupError("demo", why, response.status === 401 ? { remedy: remedies.noKey } : {});
}

/**
 * `fetch` with a limit on the time until an answer begins. Where another program takes the port and hangs up without an answer,
 * Node 20's own never settles, and the process would end without a word.
 */
async function request(url: string, init: RequestInit, answerMs = ANSWER_MS): Promise<Response> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(`no answer within ${answerMs / 1_000} s`)), answerMs);
  try {
    return await fetch(url, { ...init, signal: late.signal });
  } finally {
    clearTimeout(timer); // the body may take as long as the run
  }
}

/** Knocks until the server lets us in again, for as long as somebody may wait. */
async function rejoin(stream: string, lastEventId: string | undefined, apiKey: string | undefined): Promise<Response> {
  const deadline = performance.now() + PATIENCE_MS;
  let why = "";
  for (let pause = FIRST_PAUSE_MS; performance.now() < deadline; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    await delay(pause);
    try {
      const headers = { accept: "text/event-stream", ...authorisation(apiKey) };
      const response = await request(stream, {
        headers: lastEventId === undefined ? headers : { ...headers, "last-event-id": lastEventId },
      });
      if (response.ok) return response;
      why = `answer ${response.status}: ${(await response.text()).slice(0, 500)}`;
      if (response.status < 500 && response.status !== 429) break;
    } catch (error) {
      why = causeOf(error);
    }
  }
  throw new StartupError("demo", `could not take up ${stream} again (${why})`, { remedy: `curl -N ${stream}` });
}

function bodyOf(response: Response): ReadableStream<Uint8Array> {
  if (!response.body) throw new Error("the answer has no body");
  return response.body;
}

function authorisation(apiKey: string | undefined): Record<string, string> {
  return apiKey === undefined ? {} : { "x-api-key": apiKey };
}

/** `fetch failed` says nothing; its cause does. */
function causeOf(error: unknown): string {
  return reasonOf((error as { cause?: unknown }).cause ?? error);
}
