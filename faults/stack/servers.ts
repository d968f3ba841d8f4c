import { chmodSync } from "node:fs";
import { join } from "node:path";
import { startLocalPostgres } from "../../apps/cli/src/stack/local-postgres.ts";
import { startLocalRedis } from "../../apps/cli/src/stack/local-redis.ts";
import type { LocalServer } from "../../apps/cli/src/stack/local-server.ts";

/** A Postgres or Redis with the settings of real life (fsync, append-only file), which may be ended and started again. */
export class Server {
  readonly url: string;
  readonly #launch: () => Promise<LocalServer>;
  #running: LocalServer;

  static async postgres(home: string): Promise<Server> {
    chmodSync(home, 0o755); // as root, Postgres runs as another user
    const launch = () => startLocalPostgres({ home, logFile: join(home, "logs/postgres.log") });
    return new Server(launch, await launch());
  }

  static async redis(home: string): Promise<Server> {
    const launch = () => startLocalRedis({ home, logFile: join(home, "logs/redis.log") });
    return new Server(launch, await launch());
  }

  private constructor(launch: () => Promise<LocalServer>, running: LocalServer) {
    this.#launch = launch;
    this.#running = running;
    this.url = running.url;
  }

  /** SIGSTOP and SIGCONT; for Postgres they reach the postmaster only. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.#running.pid, signal);
  }

  /** Ends it as a crash would: Redis by SIGKILL, Postgres by SIGQUIT, which is `pg_ctl stop -m immediate`. */
  async crash(signal: "SIGKILL" | "SIGQUIT"): Promise<void> {
    process.kill(this.#running.pid, signal);
    await this.#running.exited;
  }

  async start(): Promise<void> {
    this.#running = await this.#launch();
  }

  stop(): Promise<void> {
    return this.#running.stop();
  }
}
