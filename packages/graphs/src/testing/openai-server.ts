import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a test wants to see of a request to the chat completions endpoint. */
export interface ChatRequest {
  readonly authorization: string | undefined;
  readonly body: {
    readonly model: string;
    readonly stream?: boolean;
    readonly messages: readonly { readonly role: string; readonly content: unknown }[];
    readonly tools?: readonly { readonly function: { readonly name: string } }[];
  };
}

/** Every call has the id "call_1" unless the test gives one. */
export interface ToolCallReply {
  readonly name: string;
  readonly args: string;
  readonly id?: string;
}

/** The message's id: a new one for each request unless the test gives one. */
interface Identified {
  readonly messageId?: string;
}

/** How the server answers: with text, with calls of tools, or with an HTTP error. */
export type ChatReply =
  | ({ readonly text: string } & Identified)
  | ({ readonly call: ToolCallReply } & Identified)
  | ({ readonly calls: readonly ToolCallReply[] } & Identified)
  | { readonly status: number; readonly message: string };

/** A server that speaks OpenAI's chat completions protocol, on a free port; answers come from `reply`. */
export class OpenAiServer {
  readonly requests: ChatRequest[] = [];
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  readonly #reply: (request: ChatRequest) => ChatReply;

  constructor(reply: (request: ChatRequest) => ChatReply) {
    this.#reply = reply;
  }

  /** Starts listening; returns the base URL to put into OPENAI_BASE_URL. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let json = "";
    for await (const part of incoming) json += String(part);
    const request: ChatRequest = {
      authorization: incoming.headers.authorization,
      body: JSON.parse(json) as ChatRequest["body"],
    };
    this.requests.push(request);
    const reply = this.#reply(request);
    const newId = `chatcmpl-${this.requests.length}`;
    if ("status" in reply) {
      response.writeHead(reply.status, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: reply.message, type: "test_error" } }));
    } else if (request.body.stream === true) streamChunks(response, reply, newId);
    else {
      response.writeHead(200, { "content-type": "application/json" });
      const id = reply.messageId ?? newId;
      const base = { id, object: "chat.completion", created: 1, model: "test-model", usage: USAGE };
      response.end(
        JSON.stringify({ ...base, choices: [{ index: 0, message: wholeMessage(reply), finish_reason: "stop" }] }),
      );
    }
  }
}

type Said = Exclude<ChatReply, { status: number }>;

const USAGE = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };

function streamChunks(response: ServerResponse, reply: Said, newId: string): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const id = reply.messageId ?? newId;
  const base = { id, object: "chat.completion.chunk", created: 1, model: "test-model" };
  const send = (fields: object) => response.write(`data: ${JSON.stringify({ ...base, ...fields })}\n\n`);
  for (const delta of deltasOf(reply)) send({ choices: [{ index: 0, delta, finish_reason: null }] });
  send({ choices: [{ index: 0, delta: {}, finish_reason: "text" in reply ? "stop" : "tool_calls" }] });
  send({ choices: [], usage: USAGE });
  response.end("data: [DONE]\n\n");
}

function deltasOf(reply: Said): object[] {
  if ("text" in reply) return (reply.text.match(/\s*\S+/g) ?? []).map((content) => ({ role: "assistant", content }));
  return callsOf(reply).flatMap(({ name, args, id = "call_1" }, index) => {
    const half = Math.ceil(args.length / 2);
    return [
      { role: "assistant", tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] },
      { tool_calls: [{ index, function: { arguments: args.slice(0, half) } }] },
      { tool_calls: [{ index, function: { arguments: args.slice(half) } }] },
    ];
  });
}

function wholeMessage(reply: Said): object {
  if ("text" in reply) return { role: "assistant", content: reply.text };
  const calls = callsOf(reply).map(({ name, args, id = "call_1" }) => ({
    id,
    type: "function",
    function: { name, arguments: args },
  }));
  return { role: "assistant", content: null, tool_calls: calls };
}

function callsOf(reply: Extract<Said, { call: unknown } | { calls: unknown }>): readonly ToolCallReply[] {
  return "call" in reply ? [reply.call] : reply.calls;
}
