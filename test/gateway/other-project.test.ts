import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { graphAt, writeProject } from "../support/project.ts";
import { Stack, startStack } from "../support/stack.ts";

test("a project whose TypeScript is CommonJS is served without a build", async () => {
  const database = await createTestDatabase();
  const config = fileURLToPath(new URL("../graphs-commonjs/langgraph.json", import.meta.url));
  const { gateway } = await startStack({ databaseUrl: database.url, config });
  const { body } = await new TestClient(gateway.url).post("/graphs/greeter/invoke?wait=20", { input: {} });
  expect(body).toMatchObject({ status: "success", result: { greeting: "hello" } });
});

test.each([{ type: "module" }, { type: "commonjs" }])(
  "a project in TypeScript ($type) that has not installed @flotilla/once can import it",
  async ({ type }) => {
    const graph = `import { once } from "@flotilla/once";
      export { graph } from ${JSON.stringify(graphAt("echo.ts"))};
      if (typeof once !== "function") throw new Error("no function");`;
    const files = { "package.json": JSON.stringify({ type }), "graph.ts": graph };
    const config = writeProject({ graphs: { echo: "./graph.ts:graph" } }, files);
    const gateway = await new Stack({ databaseUrl: (await createTestDatabase()).url, config }).startGateway();
    const { body } = await new TestClient(gateway.url).get("/graphs");
    expect(body).toEqual({ graphs: [{ name: "echo", description: null }] });
  },
);
