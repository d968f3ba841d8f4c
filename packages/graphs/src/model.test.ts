import type { BaseMessage } from "@langchain/core/messages";
import { MemorySaver } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { graph as customerSupport } from "./customer-support/graph.ts";
import { graph as documentProcessor } from "./document-processor/graph.ts";
import type { Report } from "./document-processor/state.ts";
import { configuredModel } from "./model.ts";
import { graph as researchAgent } from "./research-agent/graph.ts";
import { type ChatReply, type ChatRequest, OpenAiServer } from "./testing/openai-server.ts";

const KEY = "sk-test-not-a-real-key";

describe("settings", () => {
  test("without MODEL, or with MODEL=offline, no provider is asked", async () => {
    expect(await configuredModel({})).toBeUndefined();
    expect(await configuredModel({ MODEL: "offline" })).toBeUndefined();
  });

  test.each([
    [{ MODEL: "openai:gpt-4o" }, "OPENAI_API_KEY is not set"],
    [{ MODEL: "anthropic:claude", ANTHROPIC_API_KEY: " " }, "ANTHROPIC_API_KEY is not set"],
    [{ MODEL: "gpt-4o" }, 'MODEL is "gpt-4o"; expected openai:<model name>'],
    [{ MODEL: "nobody:x" }, "expected openai:<model name> or anthropic:<model name>"],
    [{ MODEL: "openai:" }, "expected openai"],
  ])("%j is refused: %s", async (env, message) => {
    await expect(configuredModel(env)).rejects.toThrow(message);
  });

  test("the same settings give the same model, so that its connections are kept", async () => {
    const env = { MODEL: "anthropic:claude-test", ANTHROPIC_API_KEY: KEY };
    expect(await configuredModel(env)).toBe(await configuredModel(env));
  });
});

describe("the real OpenAI client against a local server", () => {
  let server: OpenAiServer;
  let reply: (request: ChatRequest) => ChatReply;

  beforeEach(async () => {
    server = new OpenAiServer((request) => reply(request));
    vi.stubEnv("MODEL", "openai:test-model");
    vi.stubEnv("OPENAI_API_KEY", KEY);
    vi.stubEnv("OPENAI_BASE_URL", await server.start());
    customerSupport.checkpointer = new MemorySaver();
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    await server.stop();
  });

  async function ask(content: string, thread = "1") {
    const config = { configurable: { thread_id: thread }, streamMode: "messages" as const };
    const chunks: BaseMessage[] = [];
    const input = { messages: [{ role: "user", content }] } as never;
    for await (const [chunk] of await customerSupport.stream(input, config))
      chunks.push(chunk as unknown as BaseMessage);
    return chunks;
  }

  test("text is streamed chunk by chunk, with the key in the header and usage at the end", async () => {
    reply = () => ({ text: "Hello from the other side." });
    const chunks = await ask("hello");
    expect(chunks.map(({ text }) => text).filter(Boolean)).toEqual(["Hello", " from", " the", " other", " side."]);
    expect(server.requests[0]?.authorization).toBe(`Bearer ${KEY}`);
    expect(server.requests[0]?.body).toMatchObject({ model: "test-model", stream: true });
    const { messages } = (await customerSupport.getState({ configurable: { thread_id: "1" } })).values;
    expect(messages.at(-1)).toMatchObject({ usage_metadata: { total_tokens: 18 } });
  });

  test("a streamed tool call is put together, run, and its result goes back to the model", async () => {
    reply = ({ body }) =>
      body.messages.at(-1)?.role === "tool"
        ? { text: "It is in Hamburg." }
        : { call: { name: "track_shipment", args: '{"order_id":"1042"}' } };
    const chunks = await ask("where is order 1042?");
    expect(server.requests[0]?.body.tools?.map((tool) => tool.function.name)).toContain("track_shipment");
    expect(server.requests[1]?.body.messages.at(-1)?.content).toContain("Hamburg");
    expect(chunks.at(-1)?.id).toBe(chunks.findLast(({ text }) => text === " Hamburg.")?.id);
  });

  test("an error of the provider reaches the caller, and the key is not in it", async () => {
    reply = () => ({ status: 400, message: "this model does not exist" });
    const failure = await ask("hello").catch((error: unknown) => error as Error);
    expect(failure).toMatchObject({ message: expect.stringContaining("this model does not exist") as unknown });
    expect(String((failure as Error).stack)).not.toContain(KEY);
  });

  test("the document processor takes the model's fields, checks them itself, and streams the summary alone", async () => {
    reply = ({ body }) => {
      if (body.tools === undefined) return { text: "A short summary." };
      const asksForType = JSON.stringify(body.messages).includes("What kind of document");
      const args = asksForType ? { type: "invoice", confidence: 0.9 } : { invoice_number: "M-1", iban: "DE00123" };
      return { call: { name: "answer", args: JSON.stringify(args) } };
    };
    const streamed: string[] = [];
    const input = { documents: [{ name: "a", text: "Invoice no. X-9, 12 March 2025, Birch Ltd\nTotal £24.00" }] };
    let reports: Report[] = [];
    for await (const [mode, chunk] of await documentProcessor.stream(input, { streamMode: ["messages", "values"] })) {
      if (mode === "messages") streamed.push(String(chunk[0].content));
      else reports = chunk.reports;
    }
    expect(reports[0]).toMatchObject({
      type: "invoice",
      fields: { invoice_number: "M-1", iban: "DE00123", total: 24 },
      problems: [expect.stringContaining("iban_invalid") as unknown],
      summary: "A short summary.",
    });
    expect(streamed.join("")).toBe("A short summary.");
  });

  test.each<[string, ChatReply, string]>([
    ["of another shape", { call: { name: "answer", args: '{"type":"poem"}' } }, "model_answer_invalid"],
    ["that is no JSON", { call: { name: "answer", args: "{oops" } }, "model_answer_invalid"],
    ["that is refused", { status: 401, message: `Incorrect API key provided: ${KEY}` }, "model_failed: HTTP 401"],
  ])("with an answer %s the document processor goes by its rules and says so", async (_, wrong, problem) => {
    reply = () => wrong;
    const documents = [{ name: "a", text: "Invoice no. X-9\nDue date: 12 March 2025\nBirch Ltd\nTotal £24.00" }];
    const { reports } = await documentProcessor.invoke({ documents });
    expect(reports[0]?.type).toBe("invoice");
    expect(reports[0]?.fields).toMatchObject({ invoice_number: "X-9", total: 24 });
    expect(reports[0]?.problems.join()).toContain(problem);
    expect(JSON.stringify(reports)).not.toContain(KEY);
  });

  test("the research agent rewrites what the model's critic rejects, twice at most", async () => {
    reply = ({ body }) => {
      if (body.tools === undefined) return { text: "Leases expire [1], and so on [99]." };
      const isPlan = JSON.stringify(body.messages).includes("Which searches");
      const args = isPlan ? { queries: ["lease fencing token"] } : { approved: false, feedback: "Say more." };
      return { call: { name: "answer", args: JSON.stringify(args) } };
    };
    const result = await researchAgent.invoke({ query: "What is a lease?" });
    expect(result.revisions).toBe(2);
    expect(result.answer).toBe("Leases expire [1], and so on.");
    expect(result.citations).toHaveLength(1);
  });
});
