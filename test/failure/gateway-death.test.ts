import { beforeEach, describe, expect, test } from "vitest";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { Stack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

// A gateway that dies by SIGKILL between two of its writes, and what the next one makes of it: the real duties, no stand-ins.

let database: TestDatabase;
let stack: Stack;
beforeEach(async () => {
  database = await createTestDatabase();
  stack = new Stack({ databaseUrl: database.url, config: TEST_GRAPHS, env: { LEASE_SECS: "2" } });
  return () => stack.stop();
});

const steps = (n: number, delayMs: number) => ({ input: { inputs: ["in"], steps: n, delay_ms: delayMs } });
const startDoomed = (failpoint: string) => stack.startGateway({ FLOTILLA_FAILPOINTS: `${failpoint}:1` });
const runsOf = async (threadId: string) =>
  (
    await database.pool.query<{ run_id: string; status: string; attempt: number }>(
      "select run_id, status, attempt from runs where thread_id = $1 order by seq",
      [threadId],
    )
  ).rows;
const ended = (threadId: string, status = "success") =>
  eventually(async () => (await runsOf(threadId)).every((run) => run.status === status) && (await runsOf(threadId)), {
    timeoutMs: 20_000,
    what: `the end of the runs of ${threadId} as ${status}`,
  });

describe("a gateway that dies while it accepts a run", () => {
  test("before the row is written has accepted nothing", async () => {
    const doomed = await startDoomed("before_create");
    await expect(
      new TestClient(doomed.url).post("/graphs/steps/invoke", { thread_id: "t", ...steps(1, 0) }),
    ).rejects.toThrow();
    await doomed.exited;
    expect(await runsOf("t")).toEqual([]);
  });

  test.each(["after_create", "after_enqueue"])(
    "%s has accepted it once, and another gateway sees to it",
    async (failpoint) => {
      const [doomed, survivor] = await Promise.all([startDoomed(failpoint), stack.startGateway(), stack.startWorker()]);
      const request = { thread_id: "t", ...steps(2, 1) };
      const key = { "idempotency-key": "k" };
      await expect(new TestClient(doomed.url).post("/graphs/steps/invoke", request, key)).rejects.toThrow();
      await doomed.exited;
      const again = await new TestClient(survivor.url).post("/graphs/steps/invoke?wait=20", request, key);
      expect(again.body).toMatchObject({ status: "success", result: { log: [1, 2] } });
      expect(await runsOf("t")).toMatchObject([{ status: "success", attempt: 1 }]);
    },
  );
});

describe("a gateway that dies while it cancels a run", () => {
  test("of a running one has recorded the cancel, and the worker hears of it by its lease", async () => {
    const [doomed, survivor] = await Promise.all([
      startDoomed("after_cancel"),
      stack.startGateway(),
      stack.startWorker(),
    ]);
    const client = new TestClient(survivor.url);
    const { body: handle } = await client.post("/graphs/steps/invoke", steps(1, 60_000));
    await eventually(async () => (await client.get(handle.links.run)).body.status === "running");
    await expect(new TestClient(doomed.url).post(handle.links.cancel)).rejects.toThrow();
    await ended(handle.thread_id, "interrupted");
  });

  test("of a pending one has ended it, and the next run of its thread begins all the same", async () => {
    const [doomed, survivor] = await Promise.all([startDoomed("after_cancel"), stack.startGateway()]);
    const client = new TestClient(survivor.url);
    const { body: first } = await client.post("/graphs/steps/invoke", { thread_id: "t", ...steps(1, 0) });
    const { body: second } = await client.post("/graphs/steps/invoke", { thread_id: "t", ...steps(1, 0) });
    await expect(new TestClient(doomed.url).post(first.links.cancel)).rejects.toThrow();
    await stack.startWorker();
    await eventually(async () => (await client.get(second.links.run)).body.status === "success", { timeoutMs: 20_000 });
    expect(await runsOf("t")).toMatchObject([{ status: "interrupted" }, { status: "success" }]);
  });
});

test.each(["before_rescue", "after_rescue"])("a gateway that dies %s leaves the run to the next", async (failpoint) => {
  const [doomed, worker] = await Promise.all([startDoomed(failpoint), stack.startWorker()]);
  const { body: handle } = await new TestClient(doomed.url).post("/graphs/steps/invoke", steps(20, 60));
  await eventually(async () => (await runsOf(handle.thread_id))[0]?.status === "running");
  await worker.kill();
  await doomed.exited; // it comes to rescue the run
  await Promise.all([stack.startGateway(), stack.startWorker()]);
  expect(await ended(handle.thread_id)).toMatchObject([{ attempt: 2 }]);
});

describe("a run that has begun and is cancelled between two attempts", () => {
  /** A thread whose question has been answered by a run that its worker has handed over. */
  async function handedOver(client: TestClient): Promise<{ thread_id: string; run_id: string }> {
    const worker = await stack.startWorker();
    const asked = await client.post("/graphs/ask_then_work/invoke?wait=20", {
      thread_id: "t",
      input: { delay_ms: 300 },
    });
    expect(asked.body).toMatchObject({ status: "success", interrupts: [{ value: "go on?" }] });
    const { body: handle } = await client.post("/graphs/ask_then_work/resume", { thread_id: "t", resume_data: "yes" });
    await eventually(async () => (await client.get(`/graphs/ask_then_work/state?thread_id=t`)).body.next[0] === "work");
    await worker.kill("SIGTERM");
    expect((await client.get(handle.links.run)).body).toMatchObject({ status: "pending", attempt: 1 });
    return handle;
  }

  test("leaves its thread as its checkpoints say: the question is answered, and takes no answer again", async () => {
    const gateway = await stack.startGateway();
    const client = new TestClient(gateway.url);
    const handle = await handedOver(client);
    const { body: behind } = await client.post("/graphs/ask_then_work/invoke", { thread_id: "t", input: {} });
    expect((await client.post(`/threads/t/runs/${handle.run_id}/cancel`)).status).toBe(202);
    expect((await client.post(`/threads/t/runs/${behind.run_id}/cancel`)).status).toBe(202);
    const { rows } = await database.pool.query(
      "select status, interrupts, state_stale_at from threads where thread_id = 't'",
    );
    expect(rows).toEqual([{ status: "idle", interrupts: {}, state_stale_at: null }]);
    expect((await client.post("/graphs/ask_then_work/resume", { thread_id: "t", resume_data: "again" })).status).toBe(
      409,
    );
  });

  test("does so too when the gateway dies before it has read them", async () => {
    const [doomed, survivor] = await Promise.all([startDoomed("after_cancel"), stack.startGateway()]);
    const handle = await handedOver(new TestClient(survivor.url));
    await expect(new TestClient(doomed.url).post(`/threads/t/runs/${handle.run_id}/cancel`)).rejects.toThrow();
    await eventually(
      async () => {
        const { rows } = await database.pool.query(
          "select status, interrupts, state_stale_at from threads where thread_id = 't'",
        );
        expect(rows).toEqual([{ status: "idle", interrupts: {}, state_stale_at: null }]);
        return true;
      },
      { timeoutMs: 20_000 },
    );
  });
});
