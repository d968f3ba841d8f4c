import { randomUUID } from "node:crypto";
import { Client as Client1 } from "langgraph-sdk-1";
import { Client as Client2 } from "langgraph-sdk-2";
import { beforeAll, describe, expect, test } from "vitest";
import { generateKey } from "@flotilla/shared/access/api-key";
import { insertApiKey } from "@flotilla/shared/access/api-key-queries";
import { defaultAssistantId } from "../../apps/api/src/assistants/default-assistant.ts";
import { SHAPES, UNUSABLE_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { startStack, type Stack, type StackProcess } from "../support/stack.ts";

const GRAPHS = ["agent", "nested", "fields", "annotated", "made", "unmade", "broken", "steps"];
const NOWHERE = "00000000-0000-4000-8000-000000000000";

let database: TestDatabase;
let stack: Stack;
let gateway: StackProcess;

/** Who calls, as a tenant of its own: nothing of another test is in the way. */
async function newTenant(): Promise<Record<string, string>> {
  const { key, prefix, hash } = generateKey();
  const tenantId = `t-${randomUUID()}`;
  await insertApiKey(database.pool, { keyId: randomUUID(), tenantId, name: "a test", prefix, hash });
  return { "x-api-key": key };
}

async function newClient(): Promise<TestClient> {
  return new TestClient(gateway.url, await newTenant());
}

beforeAll(async () => {
  database = await createTestDatabase();
  await newTenant(); // from the beginning a server with keys
  const env = {
    LANGGRAPH_CONFIG: JSON.stringify({
      agent: { configurable: { model: "small" }, tags: ["x"], context: { model: "m" } },
    }),
  };
  ({ stack, gateway } = await startStack({ databaseUrl: database.url, config: SHAPES, env }));
});

const SDKS = [
  ["1.15.0", Client1],
  ["2.0.0", Client2 as unknown as typeof Client1],
] as const;

describe.each(SDKS)("through SDK %s", (_version, Client) => {
  let sdk: Client1;
  beforeAll(async () => {
    sdk = new Client({ apiUrl: gateway.url, apiKey: null, defaultHeaders: await newTenant() } as never);
  });

  test("an assistant is made, found, changed, taken back and deleted", async () => {
    const made = await sdk.assistants.create({
      graphId: "agent",
      name: "Ann",
      description: "first",
      config: { configurable: { model: "big" }, recursion_limit: 7 },
      context: { model: "c1" },
      metadata: { owner: "ann", keep: { a: 1 } },
    });
    expect(made).toMatchObject({
      graph_id: "agent",
      name: "Ann",
      version: 1,
      metadata: { owner: "ann", keep: { a: 1 } },
    });
    expect(made.created_at).toMatch(/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/);
    const id = made.assistant_id;
    expect(await sdk.assistants.get(id)).toEqual(made);

    const changed = await sdk.assistants.update(id, {
      graphId: "steps",
      config: { tags: ["t"] },
      metadata: { keep: { b: 2 }, more: true },
    });
    expect(changed).toMatchObject({
      graph_id: "steps",
      name: "Ann",
      description: "first",
      version: 2,
      config: { tags: ["t"] },
      context: { model: "c1" },
      metadata: { owner: "ann", keep: { b: 2 }, more: true },
    });
    expect(changed.config).toEqual({ tags: ["t"] });
    await sdk.assistants.update(id, { name: "Bea", description: "third", context: { model: "c3" } });

    const versions = await sdk.assistants.getVersions(id);
    expect(versions.map((version) => [version.version, version.graph_id, version.name])).toEqual([
      [3, "steps", "Bea"],
      [2, "steps", "Ann"],
      [1, "agent", "Ann"],
    ]);
    expect(await sdk.assistants.getVersions(id, { limit: 1, offset: 1 })).toMatchObject([{ version: 2 }]);
    expect(await sdk.assistants.getVersions(id, { metadata: { keep: { a: 1 } } })).toMatchObject([{ version: 1 }]);
    expect(await sdk.assistants.getVersions(id, { offset: 3 })).toEqual([]);

    const { updated_at: _now, ...restored } = await sdk.assistants.setLatest(id, 1);
    const { updated_at: _then, ...original } = made;
    expect(restored).toEqual(original);
    const next = await sdk.assistants.update(id, { name: "after" });
    expect(next).toMatchObject({ version: 4, graph_id: "agent", description: "first", context: { model: "c1" } });

    await sdk.assistants.delete(id);
    await expect(sdk.assistants.get(id)).rejects.toThrow(/404/);
    await expect(sdk.assistants.getVersions(id)).rejects.toThrow(/404/);
  });

  test("a search filters by what metadata contains, by graph and by part of a name, and pages through", async () => {
    const mark = randomUUID();
    const names = ["alpha", "Beta", "gamma 100%", "delta"];
    for (const [i, name] of names.entries()) {
      const metadata = { mark, deep: { even: i % 2 === 0, n: i }, list: [i, "x"] };
      await sdk.assistants.create({ graphId: i < 3 ? "agent" : "steps", name, metadata });
    }
    const namesOf = async (query: object): Promise<string[]> =>
      (await sdk.assistants.search(query)).map((assistant) => assistant.name);
    const metadata = { mark };
    expect(await namesOf({ metadata })).toEqual(["delta", "gamma 100%", "Beta", "alpha"]);
    expect(await namesOf({ metadata: { mark, deep: { even: true } } })).toEqual(["gamma 100%", "alpha"]);
    expect(await namesOf({ metadata: { mark, deep: { even: "true" } } })).toEqual([]);
    expect(await namesOf({ metadata: { mark, list: [2] } })).toEqual(["gamma 100%"]);
    expect(await namesOf({ metadata, graphId: "steps" })).toEqual(["delta"]);
    expect(await namesOf({ metadata, name: "ETA" })).toEqual(["Beta"]);
    expect(await namesOf({ metadata, name: "%" })).toEqual(["gamma 100%"]);
    expect(await namesOf({ metadata, sortBy: "created_at", sortOrder: "asc", limit: 2 })).toEqual(["alpha", "Beta"]);
    expect(await namesOf({ metadata, sortBy: "graph_id", sortOrder: "desc", limit: 1 })).toEqual(["delta"]);
    expect(await sdk.assistants.count({ metadata, name: "a" })).toBe(4);

    const seen: string[] = [];
    for (let offset: number | null = 0; offset !== null;) {
      const page: { assistants: { name: string }[]; next: string | null } = await sdk.assistants.search({
        metadata,
        limit: 3,
        offset,
        includePagination: true,
      });
      seen.push(...page.assistants.map((assistant) => assistant.name));
      offset = page.next === null ? null : Number(page.next);
    }
    expect(seen).toEqual(["delta", "gamma 100%", "Beta", "alpha"]);

    const [chosen] = await sdk.assistants.search({ metadata, limit: 1, select: ["name", "metadata"] });
    expect(chosen).toEqual({ name: "delta", metadata: expect.objectContaining({ mark }) });
  });

  test("a graph's drawing, schemas and subgraphs are there under its own id", async () => {
    const drawn = await sdk.assistants.getGraph("agent");
    expect(drawn.nodes.map((node) => node.id)).toEqual(
      expect.arrayContaining(["__start__", "plan", "write", "__end__"]),
    );
    expect(drawn.edges).toContainEqual({ source: "plan", target: "write", conditional: true });
    const ids = async (xray: boolean | number) =>
      (await sdk.assistants.getGraph("nested", { xray })).nodes.map((node) => node.id);
    expect(await ids(false)).toEqual(["__start__", "inner", "last", "__end__"]);
    expect(await ids(1)).toEqual(expect.arrayContaining(["inner:before", "inner:inmost"]));
    expect(await ids(true)).toEqual(expect.arrayContaining(["inner:before", "inner:inmost:one", "inner:inmost:two"]));

    const schemas = await sdk.assistants.getSchemas("agent");
    expect(schemas).toMatchObject({
      graph_id: "agent",
      state_schema: { properties: { topic: { type: "string" }, due: { format: "date-time" } } },
      input_schema: { properties: { topic: { type: "string" } } },
      output_schema: { properties: { pages: { type: "number" } } },
      config_schema: { properties: { model: { type: "string" } } },
      context_schema: { properties: { model: { type: "string" } } },
    });
    expect(schemas.input_schema?.properties).not.toHaveProperty("pages");
    expect(await sdk.assistants.getSchemas("fields")).toMatchObject({
      state_schema: { properties: { notes: { type: "array" }, messages: { langgraph_type: "messages" } } },
      input_schema: { properties: { notes: { type: "string" } } },
      context_schema: null,
    });

    const namespaces = async (options: object) => Object.keys(await sdk.assistants.getSubgraphs("nested", options));
    expect(await namespaces({})).toEqual(["inner"]);
    expect(await namespaces({ recurse: true })).toEqual(["inner", "inner|inmost"]);
    expect(await namespaces({ namespace: "inner|inmost" })).toEqual(["inner|inmost"]);
    expect(await namespaces({ namespace: "last" })).toEqual([]);
    const { inner } = await sdk.assistants.getSubgraphs("nested");
    expect(inner).toMatchObject({ state_schema: { properties: { middle: { type: "string" } } }, context_schema: null });
    expect(inner).not.toHaveProperty("graph_id");
  });
});

describe("default assistants", () => {
  test("a tenant that was never seen finds one for each graph, with the id that clients compute", async () => {
    expect(defaultAssistantId("agent")).toBe("fe096781-5601-53d2-b2f6-0d3403f7e9ca");
    const client = await newClient();
    const { body } = await client.post("/assistants/search", { metadata: { created_by: "system" }, limit: 100 });
    expect(body.map((one: { graph_id: string }) => one.graph_id).sort()).toEqual([...GRAPHS].sort());
    for (const one of body) {
      expect(one).toMatchObject({ assistant_id: defaultAssistantId(one.graph_id), name: one.graph_id, version: 1 });
    }
    expect((await client.get("/assistants/agent")).body).toEqual(
      (await client.get("/assistants/fe096781-5601-53d2-b2f6-0d3403f7e9ca")).body,
    );
    expect((await client.post("/assistants/steps/versions")).body).toMatchObject([{ version: 1, graph_id: "steps" }]);
  });

  test("they have the config and context of LANGGRAPH_CONFIG and the description of langgraph.json", async () => {
    const client = await newClient();
    expect((await client.get("/assistants/agent")).body).toMatchObject({
      config: { configurable: { model: "small" }, tags: ["x"] },
      context: { model: "m" },
      description: "Has a state of zod and a context",
    });
    expect((await client.get("/assistants/steps")).body).toMatchObject({ config: {}, context: {}, description: null });
  });

  test("many first requests at once make each of them once", async () => {
    const client = await newClient();
    const second = new TestClient((await stack.startGateway()).url, await newTenant());
    const answers = await Promise.all(
      Array.from({ length: 12 }, () =>
        Promise.all([client.post("/assistants/count"), second.post("/assistants/count")]),
      ),
    );
    for (const pair of answers) for (const { body } of pair) expect(body).toBe(GRAPHS.length);
  });

  test("one that is deleted is there again as it was first made", async () => {
    const client = await newClient();
    await client.send("PATCH", "/assistants/agent", JSON.stringify({ name: "mine" }), {});
    expect((await client.delete("/assistants/agent")).status).toBe(204);
    expect((await client.get("/assistants/agent")).body).toMatchObject({ name: "agent", version: 1 });
    expect((await client.post("/assistants/agent/versions")).body).toHaveLength(1);
  });

  test("one whose graph is gone from the configuration is not shown, and is there again with its graph", async () => {
    const client = await newClient();
    const headers = await newTenant();
    const before = new TestClient(gateway.url, headers);
    expect((await before.post("/assistants/count")).body).toBe(GRAPHS.length);
    const own = (await before.post("/assistants", { graph_id: "agent" })).body.assistant_id;
    const other = await stack.startGateway({ FLOTILLA_CONFIG: UNUSABLE_GRAPHS });
    const after = new TestClient(other.url, headers);
    const { body } = await after.post("/assistants/search", { limit: 100 });
    expect(body.map((one: { graph_id: string }) => one.graph_id).sort()).toEqual(["agent", "ask", "echo"]);
    expect((await after.get(`/assistants/${defaultAssistantId("agent")}`)).status).toBe(404);
    expect((await after.get("/assistants/agent")).status).toBe(404);
    expect((await after.get(`/assistants/${own}`)).body).toMatchObject({ graph_id: "agent" });
    expect((await after.get(`/assistants/${own}/graph`)).status).toBe(404);
    expect((await after.delete(`/assistants/${defaultAssistantId("agent")}`)).status).toBe(404);
    expect((await before.get("/assistants/agent")).status).toBe(200);
    expect((await client.post("/assistants/count")).body).toBe(GRAPHS.length);
  });

  test("a gateway does not start with a LANGGRAPH_CONFIG that is not JSON, and says so", async () => {
    await expect(stack.startGateway({ LANGGRAPH_CONFIG: "{" })).rejects.toThrow(/LANGGRAPH_CONFIG: is not JSON/);
  });
});

describe("on the wire", () => {
  test("what is not said is empty, never null, and an explicit null is as if it was not said", async () => {
    const client = await newClient();
    const nulls = { name: null, config: null, context: null, metadata: null, description: null, if_exists: null };
    const { status, body } = await client.post("/assistants", { graph_id: "agent", ...nulls, some_day: 1 });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      name: "Untitled",
      config: {},
      context: {},
      metadata: {},
      description: null,
      version: 1,
    });
    const path = `/assistants/${body.assistant_id}`;
    const patched = await client.send("PATCH", path, JSON.stringify({ graph_id: null, ...nulls }), {});
    expect(patched.body).toMatchObject({ version: 2, graph_id: "agent", name: "Untitled", config: {}, metadata: {} });
    expect((await client.post("/assistants", { graph_id: "agent", name: "" })).body.name).toBe("agent");
    const kept = { configurable: { a: null }, unknown_key: [1], recursion_limit: 3 };
    expect((await client.post("/assistants", { graph_id: "agent", config: kept })).body.config).toEqual(kept);
  });

  test("an id that is taken is refused, or the assistant that has it is given back as it is", async () => {
    const client = await newClient();
    const assistant_id = randomUUID();
    const first = (await client.post("/assistants", { graph_id: "agent", assistant_id, name: "first" })).body;
    const again = { graph_id: "steps", assistant_id, name: "second" };
    expect(await client.post("/assistants", again)).toMatchObject({ status: 409, body: { code: "already_exists" } });
    const ignored = await client.post("/assistants", { ...again, if_exists: "do_nothing" });
    expect(ignored).toMatchObject({ status: 200, body: first });
    expect(await client.post("/assistants", { ...again, assistant_id: defaultAssistantId("agent") })).toMatchObject({
      status: 409,
    });
  });

  test.each([
    ["POST", "/assistants", { graph_id: "no_such_graph" }, 404],
    ["POST", "/assistants", {}, 422],
    ["POST", "/assistants", { graph_id: "agent", assistant_id: "no-uuid" }, 422],
    ["POST", "/assistants", { graph_id: "agent", if_exists: "maybe" }, 422],
    ["POST", "/assistants", { graph_id: "agent", metadata: [] }, 422],
    ["POST", "/assistants", { graph_id: "agent", name: "a\u0000b" }, 422],
    ["POST", "/assistants", { graph_id: "agent", config: { recursion_limit: 0 } }, 422],
    ["POST", "/assistants/search", { limit: 0 }, 422],
    ["POST", "/assistants/search", { limit: 1001 }, 422],
    ["POST", "/assistants/search", { offset: -1 }, 422],
    ["POST", "/assistants/search", { sort_by: "config; drop table assistants" }, 422],
    ["POST", "/assistants/search", { sort_order: "up" }, 422],
    ["POST", "/assistants/agent/latest", {}, 422],
    ["POST", "/assistants/agent/latest", { version: 1e12 }, 422],
    ["POST", "/assistants/agent/latest", { version: 9 }, 404],
    ["POST", `/assistants/${NOWHERE}/latest`, { version: 1 }, 404],
    ["POST", `/assistants/${NOWHERE}/versions`, {}, 404],
    ["PATCH", "/assistants/agent", { graph_id: "no_such_graph" }, 404],
    ["PATCH", `/assistants/${NOWHERE}`, { name: "x" }, 404],
    ["GET", "/assistants/no-such", undefined, 404],
    ["GET", `/assistants/${NOWHERE}`, undefined, 404],
    ["GET", "/assistants/a%00b", undefined, 422],
    ["GET", `/assistants/${NOWHERE}/graph`, undefined, 404],
    ["GET", `/assistants/${NOWHERE}/schemas`, undefined, 404],
    ["GET", `/assistants/${NOWHERE}/subgraphs`, undefined, 404],
    ["GET", "/assistants/agent/graph?xray=much", undefined, 422],
    ["GET", "/assistants/agent/graph?xray=-1", undefined, 422],
    ["GET", "/assistants/broken/graph", undefined, 503],
    ["GET", "/assistants/unmade/schemas", undefined, 503],
    ["DELETE", `/assistants/${NOWHERE}`, undefined, 404],
  ])("%s %s with %j is answered with %i", async (method, path, body, status) => {
    const client = await newClient();
    const answer = await client.send(method, path, body === undefined ? undefined : JSON.stringify(body), {});
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ detail: expect.any(String), code: expect.any(String) });
  });

  test("NUL and lone surrogates in metadata are kept as U+FFFD, and found by the same text", async () => {
    const client = await newClient();
    const metadata = { text: "a\u0000b\ud800c" };
    const { status, body } = await client.post("/assistants", { graph_id: "agent", metadata, context: metadata });
    expect(status).toBe(200);
    expect([body.metadata, body.context]).toEqual([{ text: "a\ufffdb\ufffdc" }, { text: "a\ufffdb\ufffdc" }]);
    expect((await client.post("/assistants/search", { metadata })).body).toHaveLength(1);
  });

  test("pagination headers say how many match and where the next page begins, if there is one", async () => {
    const client = await newClient();
    const page = async (body: object) => {
      const { headers } = await client.post("/assistants/search", body);
      return [headers.get("x-pagination-total"), headers.get("x-pagination-next")];
    };
    const total = String(GRAPHS.length);
    expect(await page({})).toEqual([total, null]);
    expect(await page({ limit: 3 })).toEqual([total, "3"]);
    expect(await page({ limit: 3, offset: 3 })).toEqual([total, "6"]);
    expect(await page({ limit: 3, offset: 6 })).toEqual([total, null]);
    expect(await page({ offset: 500 })).toEqual([total, null]);
    expect(await page({ graph_id: "agent" })).toEqual(["1", null]);
  });

  test("one tenant finds nothing of another", async () => {
    const [anna, bo] = [await newClient(), await newClient()];
    const hers = (await anna.post("/assistants", { graph_id: "agent", metadata: { secret: 1 } })).body;
    const path = `/assistants/${hers.assistant_id}`;
    for (const what of ["", "/graph", "/schemas", "/subgraphs"]) expect((await bo.get(path + what)).status).toBe(404);
    expect((await bo.post(`${path}/versions`)).status).toBe(404);
    expect((await bo.post(`${path}/latest`, { version: 1 })).status).toBe(404);
    expect((await bo.send("PATCH", path, '{"name":"his"}', {})).status).toBe(404);
    expect((await bo.delete(path)).status).toBe(404);
    expect((await bo.post("/assistants/search", { metadata: { secret: 1 } })).body).toEqual([]);
    expect((await bo.post("/assistants/count", { metadata: { secret: 1 } })).body).toBe(0);
    // The same id is free for him, as if hers were not there.
    const his = await bo.post("/assistants", { graph_id: "steps", assistant_id: hers.assistant_id });
    expect(his).toMatchObject({ status: 200, body: { graph_id: "steps" } });
    expect((await anna.get(path)).body).toEqual(hers);
    await anna.send("PATCH", "/assistants/agent", '{"name":"hers"}', {});
    expect((await bo.get("/assistants/agent")).body.name).toBe("agent");
  });

  test("changes at once become versions one after the other, and none is lost", async () => {
    const client = await newClient();
    const { assistant_id } = (await client.post("/assistants", { graph_id: "agent" })).body;
    const patches = Array.from({ length: 10 }, (_, i) =>
      client.send("PATCH", `/assistants/${assistant_id}`, JSON.stringify({ metadata: { [`k${i}`]: i } }), {}),
    );
    const versions = (await Promise.all(patches)).map(({ body }) => body.version).sort((a, b) => a - b);
    expect(versions).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(Object.keys((await client.get(`/assistants/${assistant_id}`)).body.metadata)).toHaveLength(10);
  });

  test("a namespace may come with | as it is or percent-encoded, and xray in every form of a flag", async () => {
    const client = await newClient();
    for (const namespace of ["inner|inmost", "inner%7Cinmost"]) {
      const { body } = await client.get(`/assistants/nested/subgraphs/${namespace}`);
      expect(Object.keys(body)).toEqual(["inner|inmost"]);
      expect(body["inner|inmost"].state_schema.properties).toEqual({ deep: { type: "string" } });
    }
    const nodes = async (xray: string) => (await client.get(`/assistants/nested/graph?xray=${xray}`)).body.nodes.length;
    expect(await Promise.all(["", "0", "false", "no"].map(nodes))).toEqual([4, 4, 4, 4]);
    expect(await Promise.all(["1", "2", "true", "yes"].map(nodes))).toEqual([5, 6, 6, 6]);
  });

  test("a factory makes the graph that is drawn from the assistant's own config", async () => {
    const client = await newClient();
    const config = { configurable: { model: "tailored" } };
    const { assistant_id } = (await client.post("/assistants", { graph_id: "made", config })).body;
    const { body } = await client.get(`/assistants/${assistant_id}/graph`);
    expect(body.nodes.map((node: { id: string }) => node.id)).toEqual(["__start__", "tailored", "__end__"]);
  });

  test("a deletion leaves threads, or with delete_threads erases those that name the assistant, runs in flight included", async () => {
    const client = await newClient();
    const run = { input: { inputs: ["in"], steps: 1 } };
    const submit = async (body: object, wait = "?wait=20") =>
      (await client.post(`/graphs/steps/invoke${wait}`, body)).body as { thread_id: string; run_id: string };
    const [ended, other] = [await submit(run), await submit(run)];
    const named = async (threadId: string, assistantId: string) =>
      database.pool.query(
        "update threads set metadata = metadata || jsonb_build_object('assistant_id', $2::text) where thread_id = $1",
        [threadId, assistantId],
      );
    const mine = (await client.post("/assistants", { graph_id: "steps" })).body.assistant_id as string;
    await named(ended.thread_id, mine);
    const path = ({ thread_id, run_id }: { thread_id: string; run_id: string }) =>
      `/threads/${thread_id}/runs/${run_id}`;
    expect((await client.delete(`/assistants/${mine}?delete_threads=false`)).status).toBe(204);
    expect((await client.get(path(ended))).status).toBe(200);

    const second = (await client.post("/assistants", { graph_id: "steps" })).body.assistant_id as string;
    await named(ended.thread_id, second);
    const running = await submit({ input: { inputs: ["in"], steps: 500 } }, "");
    await named(running.thread_id, second);
    expect((await client.delete(`/assistants/${second}?delete_threads=true`)).status).toBe(204);
    expect((await client.get(`/assistants/${second}`)).status).toBe(404);
    expect(await Promise.all([ended, running, other].map(async (one) => (await client.get(path(one))).status))).toEqual(
      [404, 404, 200],
    );
  });
});
