import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startLocalPostgres } from "./local-postgres.ts";
import { startLocalRedis } from "./local-redis.ts";

export interface TemporaryServers {
  readonly postgresUrl: string;
  readonly redisUrl: string;
  /** Ends both and removes their data. */
  stop(): Promise<void>;
}

/** Postgres and Redis for a test run: on free ports, in a temporary folder, without fsync. */
export async function startTemporaryServers(report?: (what: string) => void): Promise<TemporaryServers> {
  const home = mkdtempSync(join(tmpdir(), "flotilla-test-"));
  chmodSync(home, 0o755); // as root, Postgres runs as another user
  const options = { home, durable: false, ...(report && { report }) };
  const [postgres, redis] = await Promise.allSettled([
    startLocalPostgres({ ...options, logFile: join(home, "logs/postgres.log") }),
    startLocalRedis({ ...options, logFile: join(home, "logs/redis.log") }),
  ]);
  const stop = async (): Promise<void> => {
    const started = [postgres, redis].filter((server) => server.status === "fulfilled");
    await Promise.all(started.map((server) => server.value.stop()));
    rmSync(home, { recursive: true, force: true });
  };
  if (postgres.status === "fulfilled" && redis.status === "fulfilled") {
    return { postgresUrl: postgres.value.url, redisUrl: redis.value.url, stop };
  }
  await stop();
  throw [postgres, redis].find((server) => server.status === "rejected")?.reason;
}
