import { afterEach, expect, test } from "vitest";
import { createLogger } from "@flotilla/shared/process/logger";
import { migrate } from "@flotilla/shared/postgres/migrate";
import { isConnectionFailure } from "@flotilla/shared/postgres/pg-error";
import { createPool } from "@flotilla/shared/postgres/pool";
import { TEST_GRAPHS } from "../graphs/index.ts";
import { TestClient } from "../support/client.ts";
import { startOwnPostgres, type OwnServer } from "../support/own-servers.ts";
import { Stack } from "../support/stack.ts";
import { eventually } from "../support/wait.ts";

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of cleanUp.splice(0).toReversed()) await stop();
});

async function startPostgres(): Promise<OwnServer> {
  const postgres = await startOwnPostgres();
  cleanUp.push(() => postgres.stop());
  return postgres;
}

/** Stops every process that answers clients, and the one that would start others. */
async function freeze(postgres: OwnServer, pids: readonly number[]): Promise<() => Promise<void>> {
  await postgres.kill("SIGSTOP");
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  const thaw = async () => {
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGCONT");
      } catch {
        // it has ended: its client gave it up
      }
    }
    await postgres.kill("SIGCONT");
  };
  cleanUp.push(thaw);
  return thaw;
}

test("a gateway whose Postgres is frozen says that it is not ready, and is again when Postgres goes on", async () => {
  const postgres = await startPostgres();
  await migrate(postgres.url);
  const stack = new Stack({ databaseUrl: postgres.url, config: TEST_GRAPHS });
  cleanUp.push(() => stack.stop());
  const client = new TestClient((await stack.startGateway()).url);
  expect((await client.get("/ready")).status).toBe(200);
  const pool = createPool({
    databaseUrl: postgres.url,
    minSize: 0,
    maxSize: 1,
    applicationName: "test",
    logger: createLogger("silent", {}),
  });
  const { rows } = await pool.query<{ pid: number }>(
    "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
  );
  await pool.end();

  const thaw = await freeze(
    postgres,
    rows.map(({ pid }) => pid),
  );
  const patience = { signal: AbortSignal.timeout(10_000) };
  const [ready, ok, health] = await Promise.all(
    ["/ready", "/ok?check_db=1", "/health"].map((path) => fetch(client.url + path, patience)),
  );
  expect([ready?.status, ok?.status, health?.status]).toEqual([503, 503, 200]);

  await thaw();
  await eventually(async () => (await client.get("/ready")).status === 200, { timeoutMs: 20_000 });
  expect((await client.post("/graphs/steps/invoke", { input: { inputs: ["in"], steps: 1 } })).status).toBe(202);
});

test("a statement whose answer never comes is given up, and its connection with it", async () => {
  const postgres = await startPostgres();
  const pool = createPool({
    databaseUrl: postgres.url,
    minSize: 0,
    maxSize: 1,
    applicationName: "test",
    statementTimeoutMs: 200,
    logger: createLogger("silent", {}),
  });
  cleanUp.push(() => pool.end());
  const { rows } = await pool.query<{ pid: number }>("select pg_backend_pid() as pid");
  const [{ pid }] = rows as [{ pid: number }];
  process.kill(pid, "SIGSTOP");
  cleanUp.push(async () => void process.kill(pid, "SIGCONT"));
  const failure = await pool.query("select 1").catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Error);
  expect(isConnectionFailure(failure)).toBe(true);
  const after = await pool.query<{ pid: number }>("select pg_backend_pid() as pid");
  expect(after.rows[0]?.pid).not.toBe(pid);
});
