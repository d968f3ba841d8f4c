import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
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

beforeAll(async () => {
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

// Two workers for each test, whatever became of those before.
beforeEach(async () => {
  workers.push(...(await Promise.all(Array.from({ length: 2 - workers.length }, () => stack.startWorker()))));
});

/** Ends all workers at once, and starts one that knows nothing of them. */
async function replaceWorkers(): Promise<void> {
  await Promise.all(workers.map((worker) => worker.kill()));
  workers = [await stack.startWorker()];
}

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
  workers = workers.filter((worker) => worker !== holder);
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

  test("asks a person about a document that does not add up, and goes by the corrections", async () => {
    const documents = sampleDocuments().map(({ name, text, ...more }) => ({
      name,
      ...more,
      ...(text !== undefined && { text: text.replaceAll(/6[.,]?653[.,]29/g, "7653.29") }),
    }));
    const input = { documents, review: true };
    const { body: asked } = await client.post("/graphs/document_processor/invoke?wait=30", { input });
    const question = { action: "correct_fields", document: "invoice-halvorsen.md", fields: { total: 7653.29 } };
    expect(asked).toMatchObject({ status: "success", interrupts: [{ value: question }] });
    const resume = (resume_data: unknown) =>
      client.post("/graphs/document_processor/resume?wait=30", { thread_id: asked.thread_id, resume_data });
    expect((await resume({ fine: true })).body.interrupts).toMatchObject([{ value: { error: expect.any(String) } }]);
    const { reports } = (await resume({ fields: { total: 6653.29 } })).body.result as {
      reports: { name: string; problems: string[]; fields: object }[];
    };
    expect(reports.map(({ name, problems }) => [name, problems])).toEqual(documents.map(({ name }) => [name, []]));
    expect(reports.find(({ name }) => name === question.document)?.fields).toMatchObject({ total: 6653.29 });
  });

  test("loses no document when its worker is killed, and the stream goes on", { timeout: 60_000 }, async () => {
    const samples = sampleDocuments();
    const { body: undisturbed } = await client.post("/graphs/document_processor/invoke?wait=30", {
      input: { documents: samples.map((sample) => ({ ...sample, name: "a" })) },
    });
    const documents = Array.from({ length: 300 }, (_, i) => ({
      ...(samples[i % samples.length] as SampleDocument),
      name: "a",
    }));
    const stream = await client.open("POST", "/graphs/document_processor/stream", {
      input: { documents },
      stream_mode: ["custom", "values"],
    });
    await stream.until(({ event }) => event === "custom");
    await killHolder(stream);
    const events = await stream.rest();
    expect(violationsOf(events)).toEqual([]);
    expect(attemptsOf(events)).toBe(2);
    const { body: metrics } = await client.get("/metrics");
    expect(metrics).toContain(`executions_total{graph_name="document_processor",status="crashed"} 1`);
    const { reports } = finalValues(events) as { reports: object[] };
    expect(reports).toEqual(documents.map((_, i) => undisturbed.result.reports[i % samples.length]));
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
  let thread_id: string;
  beforeEach(() => {
    thread_id = randomUUID();
  });
  const say = (content: string) =>
    client.post("/graphs/customer_support/invoke?wait=30", { thread_id, input: { messages: content } });
  const resume = (resume_data: unknown) =>
    client.post("/graphs/customer_support/resume?wait=30", { thread_id, resume_data });

  test.each([true, false])(
    "asks a person about a large refund, also when every worker is a new one: approved %s",
    async (approved) => {
      const { body: asked } = await say("refund order 1042");
      expect(asked).toMatchObject({ status: "success", interrupts: [{ value: { order_id: "1042" } }] });
      await replaceWorkers();
      const { status, body } = await resume({ approved });
      expect(status).toBe(200);
      expect(body).toMatchObject({ status: "success", interrupts: [] });
      const { refunds = {} } = body.result as { refunds?: object };
      expect(Object.keys(refunds)).toHaveLength(approved ? 1 : 0);
      expect((await resume({ approved })).status).toBe(409);
    },
  );

  test("adds up the refunds of an order, whichever worker granted the first", async () => {
    expect((await say("refund order 1042, 500 EUR")).body.interrupts).toEqual([]);
    await replaceWorkers();
    const { body: asked } = await say("refund order #1042");
    expect(asked.interrupts).toMatchObject([{ value: { amount: 399, already_refunded: 500 } }]);
    for (const resume_data of [null, { approved: "false" }, { approved: true, amount: 1 }]) {
      const { body } = await resume(resume_data);
      expect(body.interrupts).toMatchObject([{ value: { error: expect.any(String) } }]);
      expect(Object.keys(body.result.refunds)).toHaveLength(1);
    }
    expect(Object.keys((await resume({ approved: true })).body.result.refunds)).toHaveLength(2);
  });
});

test("the commands of README do what it says of them", async () => {
  const readme = readFileSync(join(REPOSITORY, "README.md"), "utf8");
  const script = /```sh\n([^`]*curl[^`]*)```/.exec(readme)?.[1] ?? "";
  const { stdout } = await promisify(execFile)("bash", [
    "-ec",
    script
      .replaceAll("localhost:2024", new URL(client.url).host)
      .replaceAll(/^curl/gm, "curl -sS -w '\n%{http_code}\n'"),
  ]);
  expect(stdout.match(/^\d{3}$/gm)).toEqual(["202", "200", "200", "200", "200"]);
  const answers = stdout.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line) as object] : []));
  expect(answers).toMatchObject([
    { status: "pending" },
    { status: "success", result: { count: 20 } },
    { status: "success", interrupts: [{ value: { amount: 899 } }] },
    { status: "success", interrupts: [], result: { refunds: { "1042/1": { amount: 899 } } } },
  ]);
  expect(stdout).toContain("\nevent: end\n");
});

describe("the task of docs/api.md", () => {
  const page = readFileSync(join(REPOSITORY, "docs/api.md"), "utf8");
  /** The first piece of code in a language, against the stack of this test. */
  const codeIn = (language: string): string =>
    (new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, "s").exec(page)?.[1] ?? "").replaceAll(
      "127.0.0.1:2024",
      new URL(client.url).host,
    );

  test.each([
    ["js", process.execPath, ["--input-type=module", "-e"]],
    ["python", "python3", ["-c"]],
    ["sh", "bash", ["-ec"]],
  ])("is done in %s: its question shows, is answered, and the refund is granted", async (language, program, flags) => {
    const { stdout } = await promisify(execFile)(program, [...flags, codeIn(language)], { cwd: REPOSITORY });
    expect(stdout).toContain("updates");
    expect(stdout).toMatch(/approve_refund.*899/s);
    expect(stdout.trim().split("\n").at(-1)).toContain("899.00 EUR for order 1042 is on");
  });
});

describe("hostile input", () => {
  const LONG = 1_900_000;
  const invoice = { name: "a", text: "Invoice no. 5\nTotal 5.00 EUR" };
  const harmless: Record<string, object> = {
    document_processor: { documents: [invoice] },
    research_agent: { query: "What is backpressure?" },
    customer_support: { messages: "hello" },
  };
  const documents = (...list: unknown[]) => ({ documents: list });

  const hostile: [graph: string, what: string, input: object, status: string][] = [
    ["document_processor", "documents that are no list", { documents: 5 }, "error"],
    ["document_processor", "a document that is none", documents(null), "error"],
    ["document_processor", "a long line", documents({ name: "a", text: "# ".repeat(LONG / 2) }), "success"],
    ["document_processor", "deep HTML", documents({ name: "a", text: "<div>".repeat(LONG / 5) }), "success"],
    ["document_processor", "no base64", documents({ name: "a", base64: "\ud800" }, invoice), "success"],
    ["document_processor", "a broken PDF", documents({ name: "a", base64: btoa("%PDF-1.7\nrubbish") }), "success"],
    [
      "document_processor",
      "NUL",
      documents({ name: "../\0\ud800", text: `${"Invoice ".repeat(700)}\0\ud800` }),
      "success",
    ],
    ["research_agent", "a query that is no text", { query: { lease: 1 } }, "error"],
    ["research_agent", "a long query", { query: "lease ".repeat(LONG / 6) }, "error"],
    ["research_agent", "NUL", { query: "lease \0 \ud800" }, "success"],
    ["customer_support", "content that is no text", { messages: [{ role: "user", content: 5 }] }, "error"],
    ["customer_support", "a role that is none", { messages: [{ role: "boss", content: "pay" }] }, "error"],
    ["customer_support", "a long message", { messages: "refund 1 ".repeat(LONG / 9) }, "success"],
    ["customer_support", "NUL", { messages: [{ role: "user", content: "refund \0\ud800" }] }, "success"],
  ];

  test.each(Object.keys(harmless))("%s takes it for what it is, and its threads go on", async (graph) => {
    const invoke = (thread_id: string, input: unknown) =>
      client.post(`/graphs/${graph}/invoke?wait=30`, { thread_id, input });
    for (const [index, [, what, input, status]] of hostile.filter(([of]) => of === graph).entries()) {
      const { body } = await invoke(`${graph}-${index}`, input);
      expect(body, what).toMatchObject({ status });
      expect(body.error?.message ?? "", what).not.toMatch(/is not a function|Cannot read/);
      const after = await invoke(`${graph}-${index}`, harmless[graph]);
      expect(after.body, what).toMatchObject({ status: "success", interrupts: [] });
    }
    for (const worker of workers) expect((await fetch(`${worker.url}/health`)).status).toBe(200);
  });
});
