import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";

let client: TestClient;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  const { gateway } = await startStack({ databaseUrl: database.url, config: TEST_GRAPHS });
  client = new TestClient(gateway.url);
});

const raw = (path: string, body: string, headers: Record<string, string> = {}) =>
  client.send("POST", path, body, headers);

describe("a body that cannot be taken", () => {
  const deep = (n: number) => `${'{"input":'.repeat(n)}1${"}".repeat(n)}`;
  test.each([
    ["half a body", '{"input":', 400],
    ["no JSON", "input=1", 400],
    ["a number", "7", 422],
    ["a list", "[]", 422],
    ["text", '"x"', 422],
    ["101 levels", deep(101), 400],
    ["100,000 levels", deep(100_000), 400],
    ["100,000 lists", "[".repeat(100_000) + "]".repeat(100_000), 400],
    ["a key __proto__", '{"input":{"__proto__":{"polluted":1}}}', 400],
    ["an escaped key __proto__", '{"input":{"\\u005f_proto__":{"polluted":1}}}', 400],
    ["a thread id with a slash", '{"thread_id":"a/b"}', 422],
    ["a thread id with a NUL", '{"thread_id":"a\\u0000b"}', 422],
    ["thread id ..", '{"thread_id":".."}', 422],
    ["an empty thread id", '{"thread_id":""}', 422],
    ["a thread id of 256 characters", `{"thread_id":"${"x".repeat(256)}"}`, 422],
    ["a numeric thread id", '{"thread_id":7}', 422],
    ["an unknown strategy", '{"multitask_strategy":"explode"}', 422],
    ["an unknown durability", '{"durability":1}', 422],
    ["a config that is a list", '{"config":[]}', 422],
    ["a recursion limit of -1", '{"config":{"recursion_limit":-1}}', 422],
    ["metadata that is text", '{"metadata":"x"}', 422],
    ["an unknown stream mode", '{"stream_mode":["everything"]}', 422],
    ["a checkpoint id with a quote", `{"checkpoint_id":"'; drop table runs; --"}`, 422],
  ])("%s is refused", async (_name, body, status) => {
    for (const path of ["/graphs/echo/invoke", "/graphs/echo/stream"]) {
      const answer = await raw(path, body);
      expect(answer.status).toBe(status);
      expect(answer.body).toMatchObject({ detail: expect.any(String), code: expect.any(String) });
    }
  });

  test("every problem is named with its path", async () => {
    const { body } = await raw("/graphs/echo/invoke", '{"thread_id":7,"config":{"tags":"x"}}');
    expect(body.problems.map((problem: { path: string }) => problem.path).sort()).toEqual([
      "body.config.tags",
      "body.thread_id",
    ]);
  });

  test("50 MB are refused with 413, and the connection's next request works", async () => {
    const answer = await raw("/graphs/echo/invoke", JSON.stringify({ input: "x".repeat(50_000_000) })).catch(() => ({
      status: 413,
      body: { code: "payload_too_large" },
    }));
    expect(answer).toMatchObject({ status: 413, body: { code: "payload_too_large" } });
    expect((await client.get("/ok")).status).toBe(200);
  });

  test("a length that lies, a gzip bomb's header and odd content types do no harm", async () => {
    expect((await raw("/graphs/echo/invoke", "{}", { "content-type": "text/plain" })).status).toBe(202);
    expect((await raw("/graphs/echo/invoke", "{}", { "content-encoding": "gzip" })).status).toBe(400);
    expect(
      (await raw("/graphs/echo/invoke", "{}", { "content-type": "application/json; charset=utf-7" })).status,
    ).toBeLessThan(500);
  });

  test.each(["/graphs/echo/invoke?wait=-1", "/graphs/echo/invoke?wait=x"])("%s is refused", async (path) => {
    expect((await raw(path, "{}")).status).toBe(422);
  });

  test.each([
    ["", 422],
    ["x".repeat(256), 422],
    ["a b", 422],
    ["x", 202],
  ])("Idempotency-Key %j gets %i", async (key, status) => {
    expect((await raw("/graphs/echo/invoke", "{}", { "idempotency-key": key })).status).toBe(status);
  });
});

describe("hostile values are inert data", () => {
  const surrogates = "\\ud800 and \\udc00";
  test.each([
    ["a constructor envelope", '{"lc":1,"type":"constructor","id":["evil","x","Y"],"kwargs":{}}'],
    ["a secret envelope", '{"a":{"lc":1,"type":"secret","id":["DATABASE_URL"]}}'],
    ["a not-implemented envelope", '[{"lc":1,"type":"not_implemented","id":["x"]}]'],
    [
      "a message envelope",
      '{"lc":1,"type":"constructor","id":["langchain_core","messages","HumanMessage"],"kwargs":{"content":"hi"}}',
    ],
    ["a native envelope", '{"lc":2,"type":"constructor","id":["Map"],"args":[[["a",1]]]}'],
    ["an undefined envelope", '{"lc":2,"type":"undefined"}'],
    ["our own escape", '{"__flotilla_plain__":[["lc",1]]}'],
    ["a Send", '{"lg_name":"Send","node":"echo","args":{}}'],
    ["a Command", '{"lg_name":"Command","goto":"echo"}'],
    ["keys named like methods", '{"constructor":1,"prototype":2,"toString":3,"hasOwnProperty":4,"then":5,"toJSON":6}'],
    ["a list of many nulls", '[null,null,[],{},"",0,false]'],
  ])("%s comes back as it was sent, and the thread stays readable", async (_name, json) => {
    const threadId = randomUUID();
    const { body } = await raw("/graphs/echo/invoke?wait=20", `{"thread_id":"${threadId}","input":{"value":${json}}}`);
    expect(body.status).toBe("success");
    expect(body.result.value).toEqual(JSON.parse(json));
    const state = await client.get(`/graphs/echo/state?thread_id=${threadId}`);
    expect(state.body.values.value).toEqual(JSON.parse(json));
    expect((await client.get(`/graphs/echo/history?thread_id=${threadId}`)).status).toBe(200);
    const again = await raw("/graphs/echo/invoke?wait=20", `{"thread_id":"${threadId}","input":{"value":1}}`);
    expect(again.body.status).toBe("success");
  });

  test("NUL and lone surrogates break nothing", async () => {
    const threadId = randomUUID();
    const text = `{"thread_id":"${threadId}","input":{"value":"a\\u0000b ${surrogates} \\\\u0000","fail":null},"metadata":{"m":"x\\u0000"},"config":{"tags":["t\\u0000"]}}`;
    const { body } = await raw("/graphs/echo/invoke?wait=20", text.replace(',"fail":null', ""));
    expect(body.status).toBe("success");
    expect(body.result.value.replaceAll("\ufffd", "?")).toMatch(/^a.b . and . \\u0000$/s);
    const state = await client.get(`/graphs/echo/state?thread_id=${threadId}`);
    expect(state.body.values.value).toContain("\u0000");
    const failing = await raw("/graphs/echo/invoke?wait=20", `{"input":{"fail":"boom \\u0000 ${surrogates}"}}`);
    expect(failing.body).toMatchObject({ status: "error", error: { error: "TypeError" } });
  });

  test.each(["a\\u0000b", "\\ud800", "\\udc00\\u0000"])('an answer with "%s" is taken like any other', async (text) => {
    const { body } = await raw("/graphs/ask/invoke?wait=20", '{"input":{"question":"q"}}');
    const answer = await raw(
      "/graphs/ask/resume?wait=20",
      `{"thread_id":"${body.thread_id}","resume_data":{"text":"${text}"}}`,
    );
    expect(answer).toMatchObject({ status: 200, body: { status: "success", interrupts: [] } });
    const state = await client.get(`/graphs/ask/state?thread_id=${body.thread_id}`);
    expect(state.body.values.answers).toEqual([{ got: { text: JSON.parse(`"${text}"`) } }]);
  });

  test("an edit with hostile values is stored as data", async () => {
    const { body } = await raw("/graphs/echo/invoke?wait=20", '{"input":{"value":1}}');
    const value = { lc: 1, type: "constructor", id: ["evil", "x", "Y"], kwargs: {} };
    expect(
      (await client.post("/graphs/echo/state", { thread_id: body.thread_id, values: { value }, as_node: "echo" }))
        .status,
    ).toBe(200);
    expect((await client.get(`/graphs/echo/state?thread_id=${body.thread_id}`)).body.values.value).toEqual(value);
  });

  test("nothing of all this has polluted a prototype or left a run unfinished", async () => {
    const { body } = await raw("/graphs/echo/invoke?wait=20", '{"input":{"value":{}}}');
    expect(body.result.value).toEqual({});
    const { rows } = await database.pool.query(
      "select distinct status from runs where status not in ('success', 'error')",
    );
    expect(rows).toEqual([]);
  });

  test("errors show nothing of the inside", async () => {
    for (const path of [
      "/graphs/echo/state",
      "/nowhere",
      "/graphs/echo/history?thread_id=x&limit=abc",
      "/threads/%00/runs",
      "/threads/%E0%A4%A/runs",
    ]) {
      const { status, body } = await client.get(path);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
      expect(JSON.stringify(body)).not.toMatch(/node_modules|postgres:|\.ts|\.js|at \//);
    }
  });
});

describe("text that Postgres does not take", () => {
  test.each([
    ["POST", "/graphs/ask/resume", { thread_id: "t", resume_data: 1, interrupt_id: "\0" }],
    ["POST", "/graphs/ask/resume", { thread_id: "t", resume_data: 1, interrupt_id: "\ud800" }],
    ["POST", `/threads/t/runs/${randomUUID()}/cancel?reason=%00`, {}],
    ["POST", "/graphs/echo/state", { thread_id: "t", values: {}, as_node: "a\0b", checkpoint_id: "\0" }],
    ["GET", "/graphs/echo/history?thread_id=t&before=%00", undefined],
    ["GET", "/graphs/echo/state?thread_id=t&checkpoint_id=%00", undefined],
    ["GET", "/threads/%00/runs", undefined],
  ])("%s %s is refused", async (method, path, body) => {
    const { status } = await client.send(method, path, body === undefined ? undefined : JSON.stringify(body), {});
    expect(status).toBe(422);
  });

  test("and JSON in a query that is nested too deep, too", async () => {
    const deep = `${'{"a":'.repeat(150)}1${"}".repeat(150)}`;
    expect((await client.get(`/threads/t/runs?metadata=${encodeURIComponent(deep)}`)).status).toBe(400);
  });
});

test("a HEAD request does not follow a run", async () => {
  const { body } = await client.post("/graphs/steps/invoke", { input: { inputs: ["in"], steps: 1, delay_ms: 60_000 } });
  for (const path of [body.links.stream, `${body.links.run}/join`]) {
    const answer = await fetch(client.url + path, { method: "HEAD", signal: AbortSignal.timeout(10_000) });
    expect(answer.status).toBeLessThan(500);
  }
  await client.post(`${body.links.run}/cancel?wait=1`);
});

test("the page at /docs/ is the one at /docs", async () => {
  const page = await fetch(`${client.url}/docs/`);
  expect(page.status).toBe(200);
  expect(new URL(page.url).pathname).toBe("/docs");
});

test("metadata of a run's config is kept under that of its body, and a state shows its addresses", async () => {
  const { body } = await client.post("/graphs/echo/invoke?wait=20", {
    input: { value: 1 },
    config: { metadata: { a: "config", b: "config" } },
    metadata: { b: "body" },
  });
  expect((await client.get(`/threads/${body.thread_id}/runs/${body.run_id}`)).body.metadata).toEqual({
    a: "config",
    b: "body",
  });
  const { body: state } = await client.get(`/graphs/echo/state?thread_id=${body.thread_id}`);
  const { thread_id, checkpoint_ns, checkpoint_id } = state.checkpoint;
  expect(state.config).toEqual({ configurable: { thread_id, checkpoint_ns, checkpoint_id } });
  expect(state.parent_config.configurable.checkpoint_id).toBe(state.parent_checkpoint.checkpoint_id);
});
