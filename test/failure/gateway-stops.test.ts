import { expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase } from "../support/database.ts";
import { startStack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

test("a gateway that stops answers whoever waits for a run, and ends before its grace period", async () => {
  const database = await createTestDatabase();
  const { stack, gateway } = await startStack({
    databaseUrl: database.url,
    config: TEST_GRAPHS,
    env: { SHUTDOWN_GRACE_SECS: "40" },
  });
  const client = new TestClient(gateway.url);
  const long = { input: { inputs: ["in"], steps: 200, delay_ms: 100 }, config: { recursion_limit: 300 } };
  const followed = (await client.post("/graphs/steps/invoke", long)).body;
  const waiting = client.post("/graphs/steps/invoke?wait=60", long);
  const joining = client.get(`${followed.links.run}/join`);
  await eventually(async () => {
    const { rows } = await database.pool.query("select 1 from runs where status = 'running'");
    return rows.length === 2;
  });
  const began = performance.now();
  gateway.signal("SIGTERM");
  const handle = await waiting;
  expect(handle).toMatchObject({ status: 202, body: { status: "running", run_id: expect.any(String) } });
  expect(await joining).toMatchObject({ status: 200 });
  await gateway.exited;
  expect(performance.now() - began).toBeLessThan(30_000); // connections are cut off 5 s before the end of the grace

  const other = new TestClient((await stack.startGateway()).url);
  expect((await other.get(handle.body.links.run)).status).toBe(200);
  expect((await other.post(`${handle.body.links.cancel}?wait=1`)).status).toBe(204);
});
