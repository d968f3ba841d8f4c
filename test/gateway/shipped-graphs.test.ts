import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, test } from "vitest";
import { TestClient, violationsOf, type OpenStream } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { Stack, type StackProcess } from "../support/stack.ts";

// The graphs that come with the repository, as README shows them: through a gateway, on workers that may die.

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const TEXT = new Set([".txt", ".md", ".html"]);

let database: TestDatabase;
let stack: Stack;
let client: TestClient;
let workers: StackProcess[];

beforeEach(async () => {
  database = await createTestDatabase();
  stack = new Stack({
    databaseUrl: database.url,
    config: join(REPOSITORY, "langgraph.json"),
    env: { LEASE_SECS: "2", OFFLINE_MODEL_DELAY_MS: "20" },
  });
  const [gateway, ...started] = await Promise.all([stack.startGateway(), stack.startWorker(), stack.startWorker()]);
  client = new TestClient(gateway.url);
  workers = started;
  return () => stack.stop();
});

interface SampleDocument {
  name: string;
  text?: string;
  base64?: string;
}

function sampleDocuments(): SampleDocument[] {
  const folder = join(REPOSITORY, "examples/documents");
  return readdirSync(folder)
    .filter((name) => name !== "README.md")
    .map((name) => {
      const content = readFileSync(join(folder, name));
      return TEXT.has(extname(name))
        ? { name, text: content.toString() }
        : { name, base64: content.toString("base64") };
    });
}

/** Kills the worker that holds the run of a stream. */
async function killHolder({ runPath }: OpenStream): Promise<void> {
  const runId = runPath.split("/").at(-1);
  const { rows } = await database.pool.query<{ holder: string }>("select holder from runs where run_id = $1", [runId]);
  const pid = Number(rows[0]?.holder.split(":").at(-2));
  const holder = workers.find((worker) => worker.pid === pid);
  if (holder === undefined) throw new Error(`no worker has the pid ${pid}`);
  await holder.kill();
}

const finalValues = (events: { event: string; data: string }[]) =>
  JSON.parse(events.findLast((event) => event.event === "values")?.data ?? "null");
const attemptsOf = (events: { event: string }[]) => events.filter((event) => event.event === "metadata").length;

describe("document_processor", () => {
  test("reports on the sample documents in their order, and shows its agents at work", async () => {
    const documents = sampleDocuments();
    const events = await client.events("POST", "/graphs/document_processor/stream", {
      input: { documents },
      stream_mode: ["updates", "custom", "values"],
    });
    expect(violationsOf(events)).toEqual([]);
    const { reports } = finalValues(events) as { reports: { name: string; type: string }[] };
    expect(reports.map(({ name }) => name)).toEqual(documents.map(({ name }) => name));
    expect(reports.map(({ name, type }) => name.startsWith(type))).toEqual(documents.map(() => true));
    const agents = new Set(
      events.filter(({ event }) => event === "updates").flatMap(({ data }) => Object.keys(JSON.parse(data))),
    );
    expect(agents.size).toBeGreaterThanOrEqual(3);
    expect(events.filter(({ event }) => event === "custom").length).toBeGreaterThanOrEqual(documents.length);
  });

  test("loses no document when its worker is killed, and the stream goes on", { timeout: 60_000 }, async () => {
    const documents = Array.from({ length: 300 }, (_, i) => {
      const samples = sampleDocuments();
      return { ...(samples[i % samples.length] as SampleDocument), name: `${i}` };
    });
    const stream = await client.open("POST", "/graphs/document_processor/stream", {
      input: { documents },
      stream_mode: ["custom", "values"],
    });
    await stream.until(({ event }) => event === "custom");
    await killHolder(stream);
    const events = await stream.rest();
    expect(violationsOf(events)).toEqual([]);
    expect(attemptsOf(events)).toBe(2);
    const { reports } = finalValues(events) as { reports: { name: string }[] };
    expect(reports.map(({ name }) => name)).toEqual(documents.map(({ name }) => name));
  });
});

describe("research_agent", () => {
  const ask = { input: { query: "exactly-once delivery" }, stream_mode: ["messages-tuple", "values"] };
  const answerOf = (events: { event: string; data: string }[]) =>
    finalValues(events) as { answer: string; citations: unknown[] };

  test(
    "streams tokens and ends with a cited answer, the same one when its worker is killed",
    { timeout: 60_000 },
    async () => {
      const whole = await client.events("POST", "/graphs/research_agent/stream", ask);
      expect(violationsOf(whole)).toEqual([]);
      expect(whole.filter(({ event }) => event === "messages").length).toBeGreaterThan(10);
      expect(answerOf(whole).citations.length).toBeGreaterThan(0);

      const stream = await client.open("POST", "/graphs/research_agent/stream", ask);
      await stream.until(({ event }) => event === "messages");
      await killHolder(stream);
      const events = await stream.rest();
      expect(violationsOf(events)).toEqual([]);
      expect(attemptsOf(events)).toBe(2);
      expect(answerOf(events)).toEqual(answerOf(whole));
    },
  );
});

describe("customer_support", () => {
  const refund = { thread_id: "anna", input: { messages: [{ role: "user", content: "refund order 1042" }] } };
  const answer = (approved: boolean) =>
    client.post("/graphs/customer_support/resume?wait=30", { thread_id: "anna", resume_data: { approved } });

  test.each([true, false])(
    "asks a person about a large refund, also when every worker is a new one: approved %s",
    async (approved) => {
      const { body: asked } = await client.post("/graphs/customer_support/invoke?wait=30", refund);
      expect(asked).toMatchObject({ status: "success", interrupts: [{ value: { order_id: "1042" } }] });
      await Promise.all(workers.map((worker) => worker.kill()));
      await stack.startWorker();
      const { status, body } = await answer(approved);
      expect(status).toBe(200);
      expect(body).toMatchObject({ status: "success", interrupts: [] });
      const { refunds = {} } = body.result as { refunds?: object };
      expect(Object.keys(refunds)).toHaveLength(approved ? 1 : 0);
      expect((await answer(approved)).status).toBe(409);
    },
  );
});
