import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { generateKey } from "@flotilla/shared/access/api-key";
import { insertApiKey, revokeApiKey } from "@flotilla/shared/access/api-key-queries";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

const run = { input: { inputs: ["in"], steps: 2 } };

async function makeKey(database: TestDatabase, tenantId: string): Promise<{ key: string; keyId: string }> {
  const { key, prefix, hash } = generateKey();
  const keyId = randomUUID();
  await insertApiKey(database.pool, { keyId, tenantId, name: tenantId, prefix, hash });
  return { key, keyId };
}

describe("with API keys", () => {
  let database: TestDatabase;
  let url: string;
  let anna: TestClient;
  let bo: TestClient;

  beforeAll(async () => {
    database = await createTestDatabase();
    const keys = await Promise.all([makeKey(database, "anna"), makeKey(database, "bo")]);
    const { gateway } = await startStack({ databaseUrl: database.url, config: TEST_GRAPHS });
    url = gateway.url;
    anna = new TestClient(url, { authorization: `Bearer ${keys[0].key}` });
    bo = new TestClient(url, { "x-api-key": keys[1].key });
  });

  test("a request without a key, or with a wrong one, is refused", async () => {
    const stranger = new TestClient(url);
    expect(await stranger.get("/graphs")).toMatchObject({ status: 401, body: { code: "unauthorized" } });
    expect((await stranger.get("/graphs", { "x-api-key": "flt_wrong" })).status).toBe(401);
    expect((await stranger.get("/graphs", { authorization: "Basic YTpi" })).status).toBe(401);
    expect((await stranger.get("/metrics")).status).toBe(401);
    for (const open of ["/health", "/ready", "/ok", "/info"]) expect((await stranger.get(open)).status).toBe(200);
  });

  test("one tenant finds nothing of another: not by thread, not by run, not by key", async () => {
    const threadId = `shared-name-${randomUUID()}`;
    const key = { "idempotency-key": randomUUID() };
    const hers = (await anna.post("/graphs/steps/invoke?wait=20", { ...run, thread_id: threadId }, key)).body;
    expect(hers.status).toBe("success");
    const path = `/threads/${threadId}/runs/${hers.run_id}`;
    for (const what of [
      path,
      `${path}/stream`,
      `${path}/join`,
      `/threads/${threadId}/runs`,
      `/graphs/steps/state?thread_id=${threadId}`,
      `/graphs/steps/history?thread_id=${threadId}`,
    ]) {
      expect([what, (await bo.get(what)).status]).toEqual([what, 404]);
    }
    expect((await bo.post(`${path}/cancel`)).status).toBe(404);
    expect((await bo.delete(`/threads/${threadId}`)).status).toBe(404);
    expect((await bo.post("/graphs/steps/state", { thread_id: threadId, values: {} })).status).toBe(404);
    expect((await bo.post("/graphs/steps/resume", { thread_id: threadId, resume_data: 1 })).status).toBe(404);
    const his = (await bo.post("/graphs/steps/invoke?wait=20", { ...run, thread_id: threadId }, key)).body;
    expect(his.run_id).not.toBe(hers.run_id);
    expect(his.result.inputs).toEqual(["in"]);
    expect((await anna.get(`/threads/${threadId}/runs`)).body).toHaveLength(1);
    expect((await bo.delete(`/threads/${threadId}`)).status).toBe(204);
    expect((await anna.get(path)).status).toBe(200);
  });

  test("nor by any route of the Agent Server API", async () => {
    const threadId = randomUUID();
    const body = { assistant_id: "steps", ...run };
    const [hers, alone] = [
      (await anna.post(`/threads/${threadId}/runs`, { ...body, if_not_exists: "create", metadata: { secret: "anna" } }))
        .body,
      (await anna.post("/runs", body)).body,
    ];
    await anna.get(`/threads/${threadId}/runs/${hers.run_id}/join`);
    const { body: state } = await anna.get(`/threads/${threadId}/state`);
    const [thread, her] = [`/threads/${threadId}`, `/threads/${threadId}/runs/${hers.run_id}`];
    const { checkpoint } = state;
    const refused: [method: string, path: string, body?: unknown][] = [
      ["GET", thread],
      ["PATCH", thread, { metadata: { stolen: true } }],
      ["DELETE", thread],
      ["POST", `${thread}/copy`],
      ["GET", `${thread}/state`],
      ["GET", `${thread}/state/${checkpoint.checkpoint_id}`],
      ["POST", `${thread}/state/checkpoint`, { checkpoint }],
      ["POST", `${thread}/state`, { values: { inputs: ["his"] } }],
      ["GET", `${thread}/history`],
      ["POST", `${thread}/history`, { limit: 10 }],
      ["GET", `${thread}/runs`],
      ["POST", `${thread}/runs`, body],
      ["POST", `${thread}/runs/wait`, body],
      ["POST", `${thread}/runs/stream`, body],
      ["GET", her],
      ["DELETE", her],
      ["GET", `${her}/join`],
      ["GET", `${her}/stream`],
      ["POST", `${her}/cancel`],
      ["GET", `/runs/${hers.run_id}/join`],
      ["GET", `/threads/${alone.thread_id}/runs/${alone.run_id}/stream`],
      ["POST", "/runs/cancel", { thread_id: threadId, run_ids: [hers.run_id] }],
      ["POST", "/runs/cancel", { status: "all" }],
    ];
    for (const [method, path, sent = {}] of refused) {
      const answer = await bo.send(method, path, method === "GET" ? undefined : JSON.stringify(sent), {});
      expect([method, path, answer.status]).toEqual([method, path, 404]);
      expect(JSON.stringify(answer.body)).not.toContain("anna");
    }
    expect(await bo.events("GET", `/runs/${alone.run_id}/stream`)).toEqual([]);
    expect((await bo.post("/threads/search", { metadata: { secret: "anna" } })).body).toEqual([]);
    expect((await bo.post("/threads/search", { ids: [threadId] })).body).toEqual([]);
    expect((await bo.post("/threads/count", { values: { inputs: ["in"] } })).body).toBe(0);
    expect((await bo.post("/threads/prune", { thread_ids: [threadId] })).body).toEqual({ pruned_count: 0 });
    expect((await anna.get(`${thread}/state`)).body).toEqual(state);
    expect((await anna.get(her)).body).toMatchObject({ status: "success", metadata: { secret: "anna" } });

    // A thread of the same name is another thread.
    const his = await bo.post(`/threads/${threadId}/runs/wait`, { ...body, if_not_exists: "create" });
    expect(his.body).toMatchObject({ inputs: ["in"], log: [1, 2] });
    expect((await anna.get(`${thread}/state`)).body).toEqual(state);
  });

  test("graph code sees the public thread id", async () => {
    const threadId = randomUUID();
    const { body } = await anna.post("/graphs/echo/invoke?wait=20", { input: {}, thread_id: threadId });
    expect(body.result.seen.configurable.thread_id).toBe(threadId);
    const state = await anna.get(`/graphs/echo/state?thread_id=${threadId}`);
    expect(state.body.checkpoint.thread_id).toBe(threadId);
    expect(JSON.stringify(state.body)).not.toContain("anna/");
  });

  test("a revoked key stops working, and the server does not become an open one", async () => {
    const { key, keyId } = await makeKey(database, "carl");
    const carl = new TestClient(url, { "x-api-key": key });
    expect((await carl.get("/graphs")).status).toBe(200);
    await revokeApiKey(database.pool, keyId);
    await eventually(async () => (await carl.get("/graphs")).status === 401, { timeoutMs: 15_000 });
    expect((await new TestClient(url).get("/graphs")).status).toBe(401);
  });

  test("keys are stored as hashes only", async () => {
    const { rows } = await database.pool.query("select row_to_json(k)::text as text from api_keys k");
    expect(JSON.stringify(rows)).not.toMatch(/flt_[\w-]{8}/);
  });
});

describe("without any key", () => {
  let url: string;
  beforeAll(async () => {
    const database = await createTestDatabase();
    const { gateway } = await startStack({
      databaseUrl: database.url,
      config: TEST_GRAPHS,
      workers: 0,
      env: { ALLOWED_ORIGINS: "https://studio.example", HOST: "0.0.0.0" },
    });
    url = gateway.url;
    await eventually(() => gateway.output().includes("only this machine may call")); // its output comes beside "ready"
  });

  test("the gateway listens on loopback only, whatever HOST says", () => {
    expect(new URL(url).hostname).toBe("127.0.0.1");
  });

  test.each([
    [{ host: "127.0.0.1:2024" }, 200],
    [{ host: "localhost" }, 200],
    [{ host: "[::1]:2024" }, 200],
    [{ host: "attacker.example" }, 403],
    [{ host: "127.0.0.1.attacker.example" }, 403],
    [{ host: "localhost.attacker.example" }, 403],
    [{ origin: "https://attacker.example" }, 403],
    [{ origin: "null" }, 403],
    [{ origin: "https://studio.example" }, 200],
  ])("a request with %j gets %i", async (headers, status) => {
    // fetch does not let a test set the Host header
    const { request } = await import("node:http");
    const statusOf = (path: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        request(`${url}${path}`, { headers }, (response) => resolve(response.resume().statusCode))
          .on("error", reject)
          .end();
      });
    for (const path of ["/graphs", "/info", "/openapi.json", "/docs"]) expect(await statusOf(path), path).toBe(status);
    expect(await statusOf("/health")).toBe(200); // probes call by address
  });

  test("CORS answers named origins and no others", async () => {
    const named = await fetch(`${url}/graphs`, { headers: { origin: "https://studio.example" } });
    expect(named.headers.get("access-control-allow-origin")).toBe("https://studio.example");
    expect(named.headers.get("access-control-expose-headers")).toContain("Content-Location");
    const other = await fetch(`${url}/health`, { headers: { origin: "https://attacker.example" } });
    expect(other.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("security headers are there and the server does not name its framework", async () => {
    const { headers } = await new TestClient(url).get("/graphs");
    expect(headers.get("x-powered-by")).toBeNull();
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toBeTruthy();
    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("the description of the API and its page are served from here", async () => {
    const client = new TestClient(url);
    const { body } = await client.get("/openapi.json");
    expect(Object.keys(body.paths)).toEqual(
      expect.arrayContaining(["/graphs/{graph}/invoke", "/threads/{thread_id}/runs/{run_id}/stream", "/ready"]),
    );
    const schema = body.paths["/graphs/{graph}/invoke"].post.requestBody.content["application/json"].schema;
    expect(schema.$ref).toBe("#/components/schemas/InvokeBody");
    expect(Object.keys(body.components.schemas.InvokeBody.properties)).toEqual(
      expect.arrayContaining(["input", "thread_id", "multitask_strategy", "durability"]),
    );
    expect(JSON.stringify(body)).not.toContain("$defs");
    const page = await client.get("/docs");
    expect(page.body).not.toMatch(/https?:\/\//);
    expect((await client.get("/docs/swagger-ui-bundle.js")).status).toBe(200);
  });

  test("metrics are labelled with templates, never with ids", async () => {
    const client = new TestClient(url);
    await client.get("/threads/some-secret-thread/runs");
    await client.get("/no/such/path");
    const { body } = await client.get("/metrics");
    expect(body).toContain('endpoint="/threads/{thread_id}/runs"');
    expect(body).toContain('endpoint="unmatched"');
    expect(body).not.toContain("some-secret-thread");
    for (const name of [
      "langgraph_active_threads",
      "langgraph_db_pool_size",
      "flotilla_demand",
      "flotilla_oldest_runnable_seconds",
      "flotilla_sse_connections",
      "flotilla_event_loop_lag_seconds",
    ])
      expect(body).toContain(name);
  });
});
