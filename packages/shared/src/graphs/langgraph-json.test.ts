import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readGraphConfig, type GraphConfig } from "./langgraph-json.ts";

const folder = mkdtempSync(join(tmpdir(), "langgraph-json-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, "langgraph.json");

function read(config: object): Promise<GraphConfig> {
  writeFileSync(path, JSON.stringify({ graphs: {}, ...config }));
  return readGraphConfig(path);
}

test.each<[what: string, config: object, message: RegExp]>([
  ["a graph that is a number", { graphs: { agent: 5 } }, /"\.\/file\.ts:export"[^]*graphs\.agent/],
  ["a graph without a path", { graphs: { agent: { description: "d" } } }, /graphs\.agent\.path/],
  ["an env that is a number", { env: 1 }, /path of a file[^]*at env/],
  ["an env with an object in it", { env: { A: {} } }, /env/],
  ["a flag that is text", { http: { disable_runs: "yes" } }, /http\.disable_runs/],
  ["origins that are no list", { http: { cors: { allow_origins: "*" } } }, /http\.cors\.allow_origins/],
  ["an origin with a path", { http: { cors: { allow_origins: ["https://a.example/"] } } }, /http\.cors\.allow_origins\[0\]/],
  ["a pattern that looks ahead", { http: { cors: { allow_origin_regex: "https://(?!bad).*" } } }, /`\(\?!`[^]*http\.cors\.allow_origin_regex/],
  ["all origins with credentials", { http: { cors: { allow_origins: ["*"], allow_credentials: true } } }, /http\.cors\.allow_credentials/],
  ["a pattern for all origins with credentials", { http: { cors: { allow_origin_regex: ".*", allow_credentials: true } } }, /http\.cors\.allow_credentials/],
  ["a header that would split an answer", { http: { cors: { expose_headers: ["X\r\nSet-Cookie: a"] } } }, /http\.cors\.expose_headers\[0\]/],
  ["a negative max_age", { http: { cors: { max_age: -1 } } }, /http\.cors\.max_age/],
  ["header names that are no list", { http: { configurable_headers: { includes: "x-*" } } }, /http\.configurable_headers\.includes/],
  ["a strategy that there is not", { checkpointer: { ttl: { strategy: "forget" } } }, /checkpointer\.ttl\.strategy/],
  ["threads that do not live", { checkpointer: { ttl: { default_ttl: 0 } } }, /checkpointer\.ttl\.default_ttl/],
  ["sweeps without a pause", { checkpointer: { ttl: { sweep_interval_minutes: 1e-9 } } }, /checkpointer\.ttl\.sweep_interval_minutes/],
  ["half a thread", { checkpointer: { ttl: { sweep_limit: 1.5 } } }, /checkpointer\.ttl\.sweep_limit/],
  ["a prefix without a slash", { http: { mount_prefix: "api" } }, /http\.mount_prefix/],
  ["a prefix that leads upwards", { http: { mount_prefix: "/a/.." } }, /http\.mount_prefix/],
  ["a prefix with a router's signs", { http: { mount_prefix: "/:tenant/*x" } }, /http\.mount_prefix/],
])("%s is refused with a message that names the file and the place in it", async (_what, config, message) => {
  await expect(read(config)).rejects.toThrow(message);
  await expect(read(config)).rejects.toThrow(path);
}); // prettier-ignore

test("without a word about it threads stay for ever, and those with a time to live of their own are swept every five minutes", async () => {
  const stay = { byDefault: undefined, sweepIntervalMinutes: 5, sweepLimit: 1_000 };
  for (const checkpointer of [undefined, null, {}, { ttl: null }, { ttl: {} }, { serde: { more: true } }])
    expect((await read({ checkpointer })).threadTtl).toEqual(stay);
});

test("checkpointer.ttl says how long threads live and how they are swept", async () => {
  const ttl = { strategy: "keep_latest", default_ttl: 43_200, sweep_interval_minutes: 60, sweep_limit: 50 };
  expect((await read({ checkpointer: { ttl } })).threadTtl).toEqual({
    byDefault: { strategy: "keep_latest", minutes: 43_200 },
    sweepIntervalMinutes: 60,
    sweepLimit: 50,
  });
});

test("an explicit null means absent", async () => {
  const nothing = await read({});
  const nulls = await read({
    env: null,
    node_version: null,
    http: { cors: null, mount_prefix: null, disable_runs: null, configurable_headers: { includes: null, excludes: null } },
  }); // prettier-ignore
  expect(nulls.http).toMatchObject({ cors: undefined, mountPrefix: "", disabled: new Set() });
  expect({ ...nulls, notices: nulls.notices({}) }).toEqual({ ...nothing, notices: [] });
  expect((await read({ http: null })).http).toEqual(nothing.http);
});

test("a graph's path and description are taken from both forms", async () => {
  const { graphs } = await read({
    graphs: { a: "./a.ts:graph", b: { path: "./b.ts", description: "d" }, c: { path: "c.mjs:x", description: null } },
  });
  expect(graphs).toEqual([
    { id: "a", file: join(folder, "a.ts"), exportName: "graph", description: undefined },
    { id: "b", file: join(folder, "b.ts"), exportName: "default", description: "d" },
    { id: "c", file: join(folder, "c.mjs"), exportName: "x", description: undefined },
  ]);
});

test("numbers and flags in env become text; a list of names is held against the environment", async () => {
  expect((await read({ env: { PORT: 1, FLAG: true, TEXT: "t" } })).env).toEqual({ PORT: "1", FLAG: "true", TEXT: "t" });
  const { env, notices } = await read({ env: ["HERE", "GONE"] });
  expect(env).toEqual({});
  expect(notices({ HERE: "" })).toEqual(['the environment has no GONE, which "env" names']);
});

test.each([
  ["grpahs", "graphs"],
  ["Node-Version", "node_version"],
  ["configurableHeaders", "http.configurable_headers"],
  ["allow_origins", "http.cors.allow_origins"],
  ["unheard_of", undefined],
  ["x".repeat(500), undefined],
])("the key %s is named, with what was perhaps meant: %s", async (key, meant) => {
  const [notice] = (await read({ [key]: 1 })).notices({});
  expect(notice).toContain(`"${key.length > 100 ? key.slice(0, 100) : key}`);
  expect(notice).toContain(meant === undefined ? "has no effect" : `did you mean "${meant}"?`);
  expect(notice?.includes("did you mean")).toBe(meant !== undefined);
});
