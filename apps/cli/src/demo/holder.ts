import { hostname } from "node:os";
import { Client } from "pg";
import type { DevNotes } from "../dev/dev-lock.ts";

/** The process that holds a run. */
export interface Holder {
  readonly host: string;
  readonly pid: number;
}

/**
 * Asks the row of a run who holds it: the row is what decides. undefined when nobody does, or the row cannot be read:
 * for a demo that is no reason to fail.
 */
export async function findHolder(database: string, runId: string): Promise<Holder | undefined> {
  const db = new Client({ connectionString: database, connectionTimeoutMillis: 2_000 });
  db.on("error", () => {});
  try {
    await db.connect();
    const { rows } = await db.query<{ holder: string | null }>("select holder from runs where run_id = $1", [runId]);
    return parseHolder(rows[0]?.holder ?? "");
  } catch {
    return undefined;
  } finally {
    await db.end().catch(() => {});
  }
}

/** `host:pid:random`, as workers write it. */
export function parseHolder(holder: string): Holder | undefined {
  const [, host, pid] = /^(.*):(\d+):[^:]*$/.exec(holder) ?? [];
  return host === undefined ? undefined : { host, pid: Number(pid) };
}

/** Who it is, and how to make it fail. */
export function describeHolder({ host, pid }: Holder, start: DevNotes | undefined, here = hostname()): string {
  if (host !== here) return `the worker with pid ${pid} on ${host} holds the run`;
  const name = start?.processes.find((one) => one.pid === pid)?.name ?? "a worker";
  return `${name} (pid ${pid}) holds the run. Try it: kill -9 ${pid}`;
}
