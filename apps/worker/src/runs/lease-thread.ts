import { setTimeout as delay } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import pg from "pg";
import { RENEW_LEASES, type Renewal } from "@flotilla/shared/runs/run-queries";
import { HeldRuns } from "./held-runs.ts";
import { BEAT, CLOCK_BYTES, RENEWED, type FromLeaseThread, type LeaseThreadData, type ToLeaseThread } from "./lease.ts";

/** The thread that renews leases, see lease.ts. It knows Postgres and nothing else of the worker. */

const { databaseUrl, leaseSeconds, capacity, loopLimitSeconds, shared } = workerData as LeaseThreadData;
/** In ns. */
const maxSilence = BigInt(Math.round(loopLimitSeconds * 1e9));
const clocks = new BigInt64Array(shared, 0, 2);
const heldRuns = new HeldRuns(shared, CLOCK_BYTES, capacity);
let connected: Promise<pg.Client> | undefined;
let current: pg.Client | undefined;
let renewing = false;
let again = false;

/** A connection of its own: a busy pool must not cost a lease. */
function connect(): Promise<pg.Client> {
  return (connected ??= open());
}

async function open(): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: "flotilla leases",
    connectionTimeoutMillis: 2_000,
    statement_timeout: 3_000,
    query_timeout: 3_500,
    keepAlive: true,
  });
  client.on("error", () => drop(client));
  client.on("end", () => drop(client));
  try {
    await client.connect();
    current = client;
    return client;
  } catch (error) {
    connected = undefined;
    throw error;
  }
}

function drop(failed: pg.Client): void {
  if (current === failed) current = connected = undefined;
  failed.end().catch(() => {});
}

async function renew(): Promise<void> {
  if (renewing) {
    again = true;
    return;
  }
  renewing = true;
  try {
    do {
      again = false;
      await renewOnce();
    } while (again);
  } finally {
    renewing = false;
  }
}

async function renewOnce(): Promise<void> {
  const started = process.hrtime.bigint();
  const runs = heldRuns.list(); // after the clock: a run that came in before `started` is among them
  if (started - Atomics.load(clocks, BEAT) > maxSilence) return; // the main loop hangs: let the leases run out
  if (runs.length === 0) {
    Atomics.store(clocks, RENEWED, started);
    return;
  }
  let db: pg.Client | undefined;
  try {
    db = await connect();
    const { rows } = await db.query<Renewal>({
      name: "leases_renew",
      text: RENEW_LEASES,
      values: [runs.map((run) => run.runId), runs.map((run) => run.attempt), leaseSeconds],
    });
    Atomics.store(clocks, RENEWED, started);
    const kept = new Set(rows.map((row) => `${row.run_id} ${row.attempt}`));
    const message: FromLeaseThread = {
      type: "renewed",
      lost: runs.filter((run) => !kept.has(`${run.runId} ${run.attempt}`)),
      cancelled: rows.flatMap(({ run_id: runId, attempt, cancel_action: action }) =>
        action === null ? [] : [{ runId, attempt, action }],
      ),
    };
    if (message.lost.length > 0 || message.cancelled.length > 0) parentPort?.postMessage(message);
  } catch {
    if (db !== undefined) drop(db); // tried again at the next turn; the main thread watches the time
  }
}

void connect() // the first renewal must not pay for it
  .catch(() => {})
  .then(() => parentPort?.postMessage({ type: "ready" } satisfies FromLeaseThread));
const timer = setInterval(() => void renew(), (leaseSeconds * 1000) / 3);

parentPort?.on("message", (message: ToLeaseThread) => void (message === "renew" ? renew() : stop()));

/** Ends this thread, also while a connection is under way or Postgres does not answer. */
async function stop(): Promise<void> {
  clearInterval(timer);
  await Promise.race([current?.end().catch(() => {}), delay(500)]);
  process.exit();
}
