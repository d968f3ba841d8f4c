import { randomUUID } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Client } from "langgraph-sdk-1";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { graphAt, writeProject } from "../support/project.ts";
import { startStack, type StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";
import { SDKS } from "./sdk.ts";

// What a langgraph.json says about graphs and http, as the official clients see it. AGENT_SERVER_API sections 6.8 and 14.

const PREFIX = "/my/api";
const echo = graphAt("echo.ts:graph");
const folder = mkdtempSync(join(tmpdir(), "flotilla-noted-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let gateway: StackProcess;
let http: TestClient;
let pool: Pool;
beforeAll(async () => {
  const database = await createTestDatabase();
  ({ pool } = database);
  const config = writeProject({
    graphs: { echo, ask: graphAt("ask.ts:graph"), talk: graphAt("talk.ts:graph"), noted: graphAt("made.ts:noted") },
    http: {
      mount_prefix: PREFIX,
      configurable_headers: { includes: ["x-*", "User-Agent", "*_id", "__*"], excludes: ["x-internal-*"] },
      logging_headers: { includes: ["x-trace", "x-*-key"] },
    },
  });
  const env = { EFFECTS_LOG: join(folder, "log") };
  ({ gateway } = await startStack({ databaseUrl: database.url, config, env }));
  http = new TestClient(gateway.url);
});

interface Call {
  pid: number;
  configurable: Record<string, unknown>;
  metadata?: Record<string, unknown>;
  tags?: string[];
  recursionLimit?: number;
  context?: unknown;
  runtime: { accessContext: string; executionRuntime: unknown };
}
function factoryCalls(): Call[] {
  const text = readFileSync(join(folder, "log"), "utf8").trim();
  return text.split("\n").map((line) => JSON.parse(line) as Call);
}

describe.each(SDKS)("SDK $version", ({ connect }) => {
  test("a client whose URL ends with the mount prefix makes, follows and joins runs", async () => {
    const client = connect(gateway.url);
    const created: unknown[] = [];
    const onRunCreated = (run: unknown) => created.push(run);
    const { thread_id: thread } = await client.threads.create();
    const events: string[] = [];
    for await (const { event } of client.runs.stream(thread, "echo", { input: { value: 1 }, onRunCreated }))
      events.push(event);
    expect(events).toContain("values");
    expect(created).toMatchObject([{ thread_id: thread }]);
    const alone: unknown[] = [];
    for await (const _ of client.runs.stream(null, "echo", {
      input: {},
      onRunCreated: (run: unknown) => void alone.push(run),
    }));
    expect(alone).toMatchObject([{ run_id: expect.stringMatching(/^[0-9a-f-]{36}$/) }]);
    expect(await client.runs.wait(thread, "echo", { input: { value: 2 } })).toMatchObject({ value: 2 });
    expect(await client.assistants.get("echo")).toMatchObject({ graph_id: "echo" });
  });

  test("a header that the file lets through reaches the graph, over what the body says, by its name in lower case", async () => {
    const client = connect(gateway.url, { "X-Team": "red", "x-internal-id": "7", "x-api-key": "k", cookie: "c=1" });
    const config = { configurable: { "x-team": "from the body", own: 1 } };
    const options = { input: {}, config, ifNotExists: "create" as const };
    const { seen } = (await client.runs.wait(randomUUID(), "echo", options)) as {
      seen: { configurable: Record<string, unknown>; metadata: Record<string, unknown> };
    };
    expect(seen.configurable).toMatchObject({ "x-team": "red", own: 1, "user-agent": expect.any(String) });
    for (const name of ["x-internal-id", "x-api-key", "cookie", "host"])
      expect(seen.configurable).not.toHaveProperty(name);
    expect(JSON.stringify(seen.metadata)).not.toContain("red");
  });

  test("an assistant is drawn with the headers of the request that asks for it", async () => {
    const drawn = await connect(gateway.url, { "x-team": "blue" }).assistants.getGraph("noted");
    expect(drawn.nodes.map(({ id }) => id)).toContain("blue");
    expect(factoryCalls().at(-1)).toMatchObject({
      configurable: { graph_id: "noted", assistant_id: expect.any(String), "x-team": "blue" },
      runtime: { accessContext: "assistants.read", executionRuntime: null },
    });
  });
});

test("what a caller's headers cannot set: keys of the server, and secrets that no pattern names in full", async () => {
  const headers = {
    "thread_id": "stolen",
    "user_id": "stolen",
    "__pregel_resuming": "stolen",
    "langgraph_auth_user_id": "stolen",
    "x-access-token": "stolen",
    "x-tenant-id": "stolen",
    "authorization": "Bearer stolen",
    "x-fine": "fine",
  }; // prettier-ignore
  const { body } = await http.post("/graphs/echo/invoke?wait=20", { input: {} }, headers);
  expect(body.result.seen.configurable).toMatchObject({ "x-fine": "fine", thread_id: body.thread_id });
  expect(JSON.stringify(body.result.seen)).not.toContain("stolen");
});

test("the value of a header is in no event, no checkpoint and no run that is shown", async () => {
  const secret = `secret-${randomUUID()}`;
  const thread = randomUUID();
  const modes = [
    "values",
    "updates",
    "messages",
    "messages-tuple",
    "custom",
    "events",
    "debug",
    "tasks",
    "checkpoints",
  ];
  const submission = {
    assistant_id: "talk",
    input: { messages: [] },
    stream_mode: modes,
    stream_subgraphs: true,
    if_not_exists: "create",
  };
  const events = await http.events("POST", `/threads/${thread}/runs/stream`, submission, { "x-customer": secret });
  expect(new Set(events.map(({ event }) => event.split("|")[0]))).toEqual(
    new Set(["metadata", ...modes.flatMap((mode) => (mode === "messages" ? ["messages/metadata", "messages/partial", "messages/complete"] : mode === "messages-tuple" ? ["messages"] : [mode])), "end"]),
  ); // prettier-ignore
  expect(JSON.stringify(events)).not.toContain(secret);
  const { rows } = await pool.query("select metadata::text || checkpoint::text as text from checkpoints where thread_id = $1", [thread]); // prettier-ignore
  expect(rows.length).toBeGreaterThan(0);
  expect(JSON.stringify(rows)).not.toContain(secret);
  const { body: runs } = await http.get(`/threads/${thread}/runs`);
  expect(runs).toHaveLength(1);
  expect(JSON.stringify(runs)).not.toContain(secret);
});

test("each run of a thread has the headers of its own request", async () => {
  const thread = randomUUID();
  const submit = (body: object, team: string) =>
    http.post(
      `/threads/${thread}/runs/wait`,
      { assistant_id: "noted", if_not_exists: "create", ...body },
      { "x-team": team },
    );
  await submit({ input: {} }, "one");
  expect((await submit({ input: {} }, "two")).body).toEqual({ said: ["team one", "team two"] });
});

test("a factory gets the run's config and context on the worker, and the same config where its state is read and edited", async () => {
  const thread = randomUUID();
  const before = factoryCalls().length;
  const { body } = await http.post(
    "/graphs/noted/invoke?wait=20",
    {
      thread_id: thread,
      input: {},
      config: { configurable: { own: 1 }, tags: ["t"], recursion_limit: 7, metadata: { purpose: "test" } },
      context: { locale: "de" },
    },
    { "x-team": "green" },
  );
  expect(body.result).toEqual({ said: ["team green"] });
  const given = {
    configurable: {
      "x-team": "green",
      own: 1,
      thread_id: thread,
      run_id: body.run_id,
      graph_id: "noted",
      assistant_id: expect.any(String),
    },
    metadata: { purpose: "test", thread_id: thread },
    tags: ["t"],
    recursionLimit: 7,
    context: { locale: "de" },
  };
  const [executed] = factoryCalls().slice(before);
  expect(executed).toMatchObject({
    ...given,
    runtime: { accessContext: "threads.create_run", executionRuntime: { context: { locale: "de" } } },
  });
  expect(executed?.pid).not.toBe(gateway.pid);

  expect((await http.get(`/threads/${thread}/state`)).body.values).toEqual({ said: ["team green"] });
  const read = factoryCalls().at(-1);
  expect(read).toMatchObject({ ...given, runtime: { accessContext: "threads.read", executionRuntime: null } });
  expect(read?.pid).toBe(gateway.pid);
  const edit = { values: { said: ["edited"] }, as_node: "green" };
  expect((await http.post(`/threads/${thread}/state`, edit)).status).toBe(200);
  expect(factoryCalls().at(-1)).toMatchObject({ ...given, runtime: { accessContext: "threads.update" } });
});

describe("below a mount prefix", () => {
  const root = () => new TestClient(gateway.url.slice(0, -PREFIX.length));

  test("is everything, and elsewhere nothing but what watches the process", async () => {
    expect(gateway.url.endsWith(PREFIX)).toBe(true);
    for (const path of ["/graphs", "/info", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/health", "/ready", "/ok", "/metrics"])
      expect([path, (await http.get(path)).status]).toEqual([path, 200]); // prettier-ignore
    for (const path of ["/health", "/ready", "/ok", "/metrics"])
      expect([path, (await root().get(path)).status]).toEqual([path, 200]);
    for (const path of ["/", "/graphs", "/info", "/docs", "/openapi.json", "/assistants/echo", `${PREFIX}x/graphs`])
      expect([path, (await root().get(path)).status]).toEqual([path, 404]);
    const page = await fetch(`${gateway.url}/docs/`);
    expect([page.status, new URL(page.url).pathname]).toEqual([200, `${PREFIX}/docs`]);
  });

  test("the description says where the paths are", async () => {
    const { body } = await http.get("/openapi.json");
    expect(body.servers).toEqual([{ url: PREFIX }]);
    expect(Object.keys(body.paths)).toContain("/graphs/{graph}/invoke");
  });

  test("links and locations of the small dialect are URLs of this server", async () => {
    const { body, headers, status } = await http.post("/graphs/ask/invoke", { input: { question: "q" } });
    expect(status).toBe(202);
    const at = (path: string) => new URL(path, gateway.url).href;
    for (const link of [headers.get("location"), headers.get("content-location"), body.links.run, body.links.state])
      expect([link, (await fetch(at(link as string))).status]).toEqual([link, 200]);
    await eventually(async () => (await fetch(at(body.links.state))).json().then((state) => (state as { interrupts?: unknown[] }).interrupts?.length === 1)); // prettier-ignore
    const stream = await http.open("POST", "/graphs/echo/stream", { input: {} });
    await stream.rest();
    expect(stream.headers.get("location")).toBe(`${stream.runPath}/stream`);
    expect(stream.runPath.startsWith(`${PREFIX}/threads/`)).toBe(true);
    expect((await fetch(at(stream.headers.get("location") as string))).status).toBe(200);
    const waited = await http.post("/graphs/echo/invoke?wait=20", { input: {} });
    expect(waited.headers.get("content-location")).toMatch(new RegExp(`^${PREFIX}/threads/`));
  });

  test("Location of the Agent Server API is what its clients put after their URL: without the prefix", async () => {
    const thread = randomUUID();
    const body = { assistant_id: "echo", input: {}, if_not_exists: "create" };
    const stream = await http.open("POST", `/threads/${thread}/runs/stream`, body);
    await stream.rest();
    const location = stream.headers.get("location") as string;
    expect(location).toMatch(new RegExp(`^/threads/${thread}/runs/[0-9a-f-]+/stream$`));
    const joined = await http.open("GET", location, undefined, { "last-event-id": "-1" });
    expect((await joined.rest()).map(({ event }) => event)).toEqual(stream.seen.map(({ event }) => event));
    expect(joined.runPath).toBe(PREFIX + location.replace(/\/stream$/, ""));
    const waited = await http.post(`/threads/${thread}/runs/wait`, body);
    expect(waited.headers.get("location")).toMatch(/^\/threads\/.*\/join$/);
  });

  test("metrics are labelled as without it", async () => {
    await http.get("/graphs");
    expect((await http.get("/metrics")).body).toContain('endpoint="/graphs"');
  });
});

test("chosen headers are in the log line of a request, credentials never", async () => {
  const trace = randomUUID();
  await http.get("/graphs", { "x-trace": trace, "x-api-key": "secret-key", "x-team": "not chosen" });
  const line = await eventually(() =>
    gateway
      .output()
      .split("\n")
      .find((text) => text.includes(trace)),
  );
  expect(JSON.parse(line)).toMatchObject({ level: 30, msg: "request", headers: { "x-trace": trace } });
  expect(line).not.toMatch(/secret-key|not chosen/);
});

describe("without headers that the file names", () => {
  let plain: TestClient;
  let client: Client;
  beforeAll(async () => {
    const database = await createTestDatabase();
    const config = writeProject({ graphs: { echo }, http: { disable_assistants: true, disable_meta: true } });
    const started = await startStack({ databaseUrl: database.url, config });
    plain = new TestClient(started.gateway.url);
    client = SDKS[0]?.connect(started.gateway.url, { "x-team": "red" }) as Client;
  });

  test("none reach a graph", async () => {
    const values = await client.runs.wait(null, "echo", { input: {} });
    expect(JSON.stringify(values)).not.toContain("red");
  });

  test("what is switched off is a 404, for an official client too; the rest and the probes stay", async () => {
    await expect(client.assistants.get("echo")).rejects.toMatchObject({ status: 404 });
    await expect(client.assistants.search()).rejects.toMatchObject({ status: 404 });
    for (const path of ["/graphs", "/info", "/metrics", "/docs", "/docs/swagger-ui.css", "/openapi.json"])
      expect([path, (await plain.get(path)).status]).toEqual([path, 404]);
    for (const path of ["/health", "/ready", "/ok"])
      expect([path, (await plain.get(path)).status]).toEqual([path, 200]);
    expect(await client.threads.create()).toMatchObject({ status: "idle" });
  });
});

test("runs and threads that are switched off are so in both dialects, and in what the server says of itself", async () => {
  const database = await createTestDatabase();
  const others = {
    disable_store: true,
    disable_mcp: true,
    disable_a2a: true,
    disable_ui: true,
    disable_webhooks: true,
  };
  const config = writeProject({
    graphs: { echo },
    http: { disable_runs: true, disable_threads: true, disable_assistants: true, ...others },
  });
  const { gateway: closed } = await startStack({ databaseUrl: database.url, config, workers: 0 });
  const client = new TestClient(closed.url);
  const thread = randomUUID();
  for (const path of ["/threads", "/threads/search", `/threads/${thread}/runs`, "/runs", "/runs/wait", "/graphs/echo/invoke", "/graphs/echo/resume", "/graphs/echo/stream", "/graphs/echo/state"])
    expect([path, (await client.post(path, { assistant_id: "echo", thread_id: thread, values: {} })).status]).toEqual([path, 404]); // prettier-ignore
  expect((await client.get(`/graphs/echo/history?thread_id=${thread}`)).body).toMatchObject({
    code: "route_not_found",
  });
  const { body } = await client.get("/openapi.json");
  expect(Object.keys(body.paths).toSorted()).toEqual([
    "/health",
    "/info",
    "/metrics",
    "/ok",
    "/openapi.json",
    "/ready",
  ]);
  expect((await client.get("/info")).body.flags.assistants).toBe(false);
});
