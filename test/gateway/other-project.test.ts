import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";

test("a project whose TypeScript is CommonJS is served without a build", async () => {
  const database = await createTestDatabase();
  const config = fileURLToPath(new URL("../graphs-commonjs/langgraph.json", import.meta.url));
  const { gateway } = await startStack({ databaseUrl: database.url, config });
  const { body } = await new TestClient(gateway.url).post("/graphs/greeter/invoke?wait=20", { input: {} });
  expect(body).toMatchObject({ status: "success", result: { greeting: "hello" } });
});
