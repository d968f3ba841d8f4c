import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { generateKey } from "@flotilla/shared/access/api-key";
import { insertApiKey } from "@flotilla/shared/access/api-key-queries";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { Stack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

// Tenants share a fleet. What counts is the order in which Postgres has seen runs start and end, not how long that took.

let database: TestDatabase;
let stack: Stack;
beforeEach(async () => {
  database = await createTestDatabase();
  stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS });
});
afterEach(() => stack.stop());

/** The clients of two tenants. */
async function startGateway(env: Record<string, string> = {}): Promise<{ anna: TestClient; bo: TestClient }> {
  const [hers, his] = [await makeKey("anna"), await makeKey("bo")]; // first: a gateway without keys has one tenant
  const { url } = await stack.startGateway(env);
  return { anna: new TestClient(url, { "x-api-key": hers }), bo: new TestClient(url, { "x-api-key": his }) };
}

async function makeKey(tenantId: string): Promise<string> {
  const { key, prefix, hash } = generateKey();
  await insertApiKey(database.pool, { keyId: randomUUID(), tenantId, name: tenantId, prefix, hash });
  return key;
}

/** Submits runs that nobody waits for, some at a time, each on a thread of its own. */
async function submit(client: TestClient, count: number, delayMs: number): Promise<void> {
  let left = count;
  const submitter = async () => {
    while (left-- > 0) {
      const { status } = await client.post("/graphs/steps/invoke", { input: { steps: 1, delay_ms: delayMs } });
      expect(status).toBe(202);
    }
  };
  await Promise.all(Array.from({ length: 8 }, submitter));
}

const allEnd = (tenantId: string, timeoutMs: number) =>
  eventually(
    async () => {
      const { rows } = await database.pool.query(
        "select 1 from runs where tenant_id = $1 and ended_at is null limit 1",
        [tenantId],
      );
      return rows.length === 0;
    },
    { timeoutMs, everyMs: 200, what: `the end of all runs of ${tenantId}` },
  );

test("300 runs of one tenant delay 10 of another by a window, not by a backlog", { timeout: 150_000 }, async () => {
  const { anna, bo } = await startGateway();
  await submit(anna, 300, 50);
  await submit(bo, 10, 50);
  const { body: metrics } = await bo.get("/metrics");
  const held = Number(/^flotilla_held_runs (\d+)$/m.exec(metrics)?.[1]);
  expect(held).toBeGreaterThanOrEqual(250); // 268, but for submissions that were counted at the same time
  expect(metrics).toContain('flotilla_runs{state="runnable"} 310');

  await stack.startWorker({ N_JOBS_PER_WORKER: "4" });
  await allEnd("bo", 120_000);
  const { rows } = await database.pool.query(
    `with last as (select max(ended_at) as at from runs where tenant_id = 'bo')
     select (select count(*)::int from runs where tenant_id = 'anna' and started_at <= last.at) as begun,
            (select array_agg(distinct status) from runs where tenant_id = 'bo') as statuses from last`,
  );
  expect(rows[0].statuses).toEqual(["success"]);
  expect(rows[0].begun).toBeGreaterThan(10); // and not behind his either
  expect(rows[0].begun).toBeLessThan(100);
});

test("a place on the queue that nobody gave away is taken by the next sweep", async () => {
  const { anna } = await startGateway({ MAX_QUEUED_RUNS_PER_TENANT: "4" });
  await submit(anna, 20, 50);
  // As by a claim that could not see a run that was being held.
  await database.pool.query(
    "update runs set status = 'interrupted', dispatched_at = null, ended_at = now() where dispatched_at is not null",
  );
  await eventually(
    async () => {
      const { rows } = await database.pool.query(
        "select count(*)::int as admitted from runs where status = 'pending' and dispatched_at is not null",
      );
      expect(rows).toEqual([{ admitted: 4 }]);
      return true;
    },
    { timeoutMs: 30_000 },
  );
});

test("a tenant alone gets every slot, with a window narrower than that", { timeout: 90_000 }, async () => {
  const { anna } = await startGateway({ MAX_QUEUED_RUNS_PER_TENANT: "3" });
  await submit(anna, 30, 1_000);
  await stack.startWorker({ N_JOBS_PER_WORKER: "10" });
  await allEnd("anna", 60_000);
  expect(await mostAtOnce()).toBe(10);
});

test("no more runs of a tenant run at once than the setting allows", { timeout: 90_000 }, async () => {
  const { anna } = await startGateway({ MAX_RUNNING_RUNS_PER_TENANT: "2" });
  await submit(anna, 24, 30);
  await Promise.all([stack.startWorker(), stack.startWorker()]);
  await allEnd("anna", 60_000);
  expect(await mostAtOnce()).toBe(2);
});

/** Most runs that were running at the same time. */
async function mostAtOnce(): Promise<number> {
  const { rows } = await database.pool.query<{ most: number }>(
    `select max((select count(*) from runs b where b.started_at <= a.started_at and b.ended_at > a.started_at))::int as most from runs a`,
  );
  return rows[0]?.most ?? 0;
}
