import { request } from "node:http";
import { describe, expect, test } from "vitest";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { graphAt, writeProject } from "../support/project.ts";
import { Stack, startStack, type StackProcess } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

const graphs = { echo: graphAt("echo.ts:graph") };

async function startGateway(config: object, env: Record<string, string> = {}): Promise<StackProcess> {
  const database = await createTestDatabase();
  const path = writeProject({ graphs, ...config });
  return (await startStack({ databaseUrl: database.url, config: path, workers: 0, env })).gateway;
}

interface RawAnswer {
  status: number | undefined;
  headers: Record<string, string | string[] | undefined>;
}

/** As a browser sends it: fetch does not let a test set Origin and the headers of a preflight. */
function raw(url: string, method: string, headers: Record<string, string>): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    request(url, { method, headers }, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode, headers: answer.headers });
    })
      .on("error", reject)
      .end();
  });
}

function preflight(gateway: StackProcess, origin: string, asked = "content-type,x-api-key"): Promise<RawAnswer> {
  return raw(`${gateway.url}/threads`, "OPTIONS", {
    origin,
    "access-control-request-method": "POST",
    "access-control-request-headers": asked,
  });
}

const originOf = async (gateway: StackProcess, origin: string) =>
  (await preflight(gateway, origin)).headers["access-control-allow-origin"];

describe("http.cors", () => {
  test("origins by name and by pattern get a preflight, and the page its answer; others get neither", async () => {
    const gateway = await startGateway({
      http: {
        cors: {
          allow_origins: ["https://app.example"],
          allow_origin_regex: "https://([a-z0-9-]+\\.)*preview\\.example(:\\d+)?",
          allow_methods: ["get", "POST"],
          allow_headers: ["X-Api-Key", "X-Team"],
          allow_credentials: true,
          expose_headers: ["X-Own"],
          max_age: 123,
        },
      },
    });
    for (const origin of ["https://app.example", "https://preview.example", "https://a.b-1.preview.example:8443"]) {
      expect(await preflight(gateway, origin)).toMatchObject({
        status: 204,
        headers: {
          "access-control-allow-origin": origin,
          "access-control-allow-credentials": "true",
          "access-control-allow-methods": "GET,POST",
          "access-control-allow-headers": "Content-Type,X-Api-Key,X-Team",
          "access-control-max-age": "123",
          vary: expect.stringContaining("Origin"),
        },
      });
      const answer = await raw(`${gateway.url}/info`, "GET", { origin });
      expect(answer).toMatchObject({ status: 200, headers: { "access-control-allow-origin": origin } });
      expect(answer.headers["access-control-expose-headers"]).toMatch(/Content-Location.*X-Request-Id,X-Own/);
    }
    for (const origin of [
      "https://attacker.example",
      "https://app.example.attacker.net",
      "https://preview.example.attacker.net",
      "https://xpreview.example",
      "http://preview.example",
      "null",
    ]) {
      const refused = await preflight(gateway, origin);
      expect([origin, refused.headers["access-control-allow-origin"]]).toEqual([origin, undefined]);
      expect(refused.headers["vary"]).toContain("Origin"); // or a cache would give one page's answer to another
      // Without keys, no foreign page is answered at all.
      expect((await raw(`${gateway.url}/info`, "GET", { origin })).status).toBe(403);
    }
  });

  test("an origin that is made to keep a pattern busy costs nothing, and nobody waits for it", async () => {
    const gateway = await startGateway({ http: { cors: { allow_origin_regex: "https://(([a-z]+)+\\.)+x" } } });
    const hostile = `https://${"a".repeat(270)}!`;
    const refused = await Promise.all(Array.from({ length: 20 }, () => originOf(gateway, hostile)));
    expect(new Set(refused)).toEqual(new Set([undefined]));
    expect(await originOf(gateway, `https://${"a".repeat(12_000)}.x`)).toBeUndefined();
    expect(await originOf(gateway, "https://abc.def.x")).toBe("https://abc.def.x");
    expect((await new TestClient(gateway.url).get("/health")).status).toBe(200);
  });

  test("all origins are answered, without credentials; what a page asks to send is granted", async () => {
    const gateway = await startGateway({ http: { cors: { allow_origins: ["*"] } } });
    const { headers } = await preflight(gateway, "https://any.example", "x-whatever");
    expect(headers).toMatchObject({
      "access-control-allow-origin": "*",
      "access-control-allow-headers": "x-whatever",
      "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE",
    });
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
    expect((await raw(`${gateway.url}/info`, "GET", { origin: "https://any.example" })).status).toBe(200);
  });

  test("pages that only the file names send no credentials unless it says so", async () => {
    const gateway = await startGateway({ http: { cors: { allow_origins: ["https://app.example"] } } });
    const { headers } = await preflight(gateway, "https://app.example");
    expect(headers["access-control-allow-origin"]).toBe("https://app.example");
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
  });

  test("without origins, no page is answered, whatever else the file says", async () => {
    const gateway = await startGateway({ http: { cors: { allow_credentials: true, max_age: 5 } } });
    const { headers } = await preflight(gateway, "https://app.example");
    expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  test("ALLOWED_ORIGINS takes the place of the file's origins; the file's other rules hold", async () => {
    const cors = { allow_origins: ["https://file.example"], allow_origin_regex: "https://.*\\.file", max_age: 7 };
    const gateway = await startGateway({ http: { cors } }, { ALLOWED_ORIGINS: "https://env.example" });
    const named = await preflight(gateway, "https://env.example");
    expect(named.headers).toMatchObject({
      "access-control-allow-origin": "https://env.example",
      "access-control-allow-credentials": "true",
      "access-control-max-age": "7",
    });
    expect(await originOf(gateway, "https://file.example")).toBeUndefined();
    expect(await originOf(gateway, "https://a.file")).toBeUndefined();
  });

  test("ALLOWED_ORIGINS=* never goes with credentials, and the log says that the file's flag has no effect", async () => {
    const cors = { allow_origins: ["https://file.example"], allow_credentials: true };
    const gateway = await startGateway({ http: { cors } }, { ALLOWED_ORIGINS: "*" });
    const { headers } = await preflight(gateway, "https://any.example");
    expect(headers["access-control-allow-origin"]).toBe("*");
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
    await eventually(() => gateway.output().includes("allow_credentials has no effect"));
  });
});

test("MOUNT_PREFIX wins over the file; a single slash means none", async () => {
  const http = { mount_prefix: "/from-file" };
  const moved = await startGateway({ http }, { MOUNT_PREFIX: "/from-env/" });
  expect(new URL(moved.url).pathname).toBe("/from-env");
  expect((await new TestClient(moved.url).get("/graphs")).status).toBe(200);
  const plain = await startGateway({ http }, { MOUNT_PREFIX: "/" });
  expect((await new TestClient(plain.url).get("/graphs")).status).toBe(200);
});

test("a file with what LangGraph's own server would need starts, and the log names what has no effect", async () => {
  const build = {
    $schema: "https://langgra.ph/schema.json",
    node_version: "22",
    node_loader: "tsx",
    api_version: "0.5",
    dependencies: ["."],
    dockerfile_lines: ["RUN true"],
    base_image: "image",
    image_distro: "wolfi",
    keep_pkg_tools: true,
    pip_config_file: null,
    pip_installer: "uv",
    checkpointer: null,
  };
  const later = {
    auth: { path: "./auth.ts:auth" },
    store: { index: { embed: "openai:x", dims: 3 } },
    ui: { agent: "./ui.tsx" },
    ui_config: { shared: [] },
    webhooks: { url: { require_https: true } },
  };
  const gateway = await startGateway({
    ...build,
    ...later,
    env: ["SURELY_NOT_SET", "PATH"],
    graph: {},
    cors: {},
    surprise: 1,
    http: { app: "./app.ts:app", middleware_order: "auth_first", enable_custom_route_auth: false, disableRuns: true, cors: { allow_origin: [] } },
    graphs: { ...graphs, described: { path: graphs.echo, description: "d", descriptoin: "e" } },
  }); // prettier-ignore
  const lines = await eventually(() => {
    const found = gateway
      .output()
      .split("\n")
      .filter((line) => line.includes("langgraph.json"));
    return found.length >= 13 && found.map((line) => (JSON.parse(line) as { msg: string }).msg);
  });
  const notKnown = (key: string, meant?: string) =>
    `"${key}" is not a key of langgraph.json and has no effect${meant === undefined ? "" : `; did you mean "${meant}"?`}`;
  expect(lines).toEqual(
    expect.arrayContaining([
      notKnown("graph", "graphs"),
      notKnown("cors", "http.cors"),
      notKnown("surprise"),
      notKnown("http.disableRuns", "disable_runs"),
      notKnown("http.cors.allow_origin", "allow_origins"),
      notKnown("graphs.described.descriptoin", "description"),
      'the environment has no SURELY_NOT_SET, which "env" names',
      ...["auth", "store", "ui", "ui_config", "webhooks", "http.app"].map((key) =>
        expect.stringContaining(`"${key}" has no effect`),
      ),
    ]),
  );
  expect(lines).toHaveLength(13);
  expect((await new TestClient(gateway.url).get("/graphs")).body.graphs).toHaveLength(2);
});

test("wrong types stop the start with one message that names the file and every place in it", async () => {
  const database = await createTestDatabase();
  const http = { disable_runs: "yes", cors: { allow_origins: "*", allow_origin_regex: "(?!x)" }, mount_prefix: "api" };
  const path = writeProject({ graphs: { agent: 5 }, http });
  const stack = new Stack({ databaseUrl: database.url, config: path });
  for (const start of [stack.startGateway(), stack.startWorker()]) {
    const failure = await start.catch((error: unknown) => error as Error);
    expect(failure).toBeInstanceOf(Error);
    const { message } = failure as Error;
    for (const part of [path, "graphs.agent", "http.disable_runs", "http.cors.allow_origins", "http.cors.allow_origin_regex", "http.mount_prefix"])
      expect(message).toContain(part);
  }
  await stack.stop();
}); // prettier-ignore
