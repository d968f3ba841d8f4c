import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { startLocalPostgres } from "../../apps/cli/src/stack/local-postgres.ts";
import { startLocalRedis } from "../../apps/cli/src/stack/local-redis.ts";
import type { LocalServer } from "../../apps/cli/src/stack/local-server.ts";

/** A Postgres or Redis for one test file, with the settings of real life (fsync, append-only), that may be killed. */
export interface OwnServer {
  readonly url: string;
  /** changes with every start */
  readonly pid: number;
  /** Ends it without warning: SIGKILL, or SIGSTOP to make it hang and SIGCONT to go on. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
  /** Starts it again on the same port with the same data. */
  start(): Promise<void>;
}

const cleanups: (() => Promise<void>)[] = [];

afterAll(async () => {
  await Promise.all(cleanups.map((cleanup) => cleanup()));
});

/** An empty Postgres of its own: run the migrations yourself. */
export function startOwnPostgres(): Promise<OwnServer> {
  return startOwn((home) => startLocalPostgres({ home, logFile: join(home, "logs/postgres.log") }));
}

export function startOwnRedis(): Promise<OwnServer> {
  return startOwn((home) => startLocalRedis({ home, logFile: join(home, "logs/redis.log") }));
}

async function startOwn(launch: (home: string) => Promise<LocalServer>): Promise<OwnServer> {
  const home = mkdtempSync(join(tmpdir(), "flotilla-own-"));
  chmodSync(home, 0o755); // as root, Postgres runs as another user
  let server = await launch(home);
  const { url } = server;
  cleanups.push(async () => {
    await server.stop();
    rmSync(home, { recursive: true, force: true });
  });
  return {
    url,
    get pid() {
      return server.pid;
    },
    kill: async (signal = "SIGKILL") => {
      process.kill(server.pid, signal);
      if (signal !== "SIGSTOP" && signal !== "SIGCONT") await server.exited;
    },
    stop: () => server.stop(),
    start: async () => {
      server = await launch(home);
    },
  };
}
