import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import pg from "pg";
import { pino } from "pino";
import { generateKey } from "@flotilla/shared/access/api-key";
import { insertApiKey } from "@flotilla/shared/access/api-key-queries";
import { migrate } from "@flotilla/shared/postgres/migrate";
import { RunQueue } from "@flotilla/shared/queue/run-queue";
import { buildWorkspace } from "../../apps/cli/bin/prepare-checkout.js";
import { installAudit } from "./audit.ts";
import { Server } from "./servers.ts";
import { Supervised } from "./supervised.ts";
import { TcpProxy } from "./tcp-proxy.ts";

const PROGRAMS = {
  gateway: fileURLToPath(new URL("../../apps/api/dist/main.js", import.meta.url)),
  worker: fileURLToPath(new URL("../../apps/worker/dist/main.js", import.meta.url)),
};
const GRAPHS = fileURLToPath(new URL("../graphs/langgraph.json", import.meta.url));

export interface FleetOptions {
  readonly gateways: number;
  readonly workers: number;
  readonly jobsPerWorker: number;
  /** For every process: settings, or what a broken build needs. */
  readonly env?: Record<string, string>;
  /** Done to the database after the migrations; a broken build changes a function there. */
  readonly prepareDatabase?: (pool: pg.Pool) => Promise<void>;
}

/** A process of the fleet with the network between it and each of its servers. */
export interface Node {
  readonly process: Supervised;
  readonly toPostgres: TcpProxy;
  readonly toRedis: TcpProxy;
}

export interface Tenant {
  readonly id: string;
  readonly key: string;
}

/** Two gateways, three workers, a Postgres and a Redis of their own, and a network between all of them that can be broken. */
export class Fleet {
  readonly gateways: Node[] = [];
  readonly workers: Node[] = [];
  readonly tenants: Tenant[] = [];
  postgres!: Server;
  redis!: Server;
  /** Straight to Postgres: what the campaign looks at is not disturbed by what it does to the fleet. */
  pool!: pg.Pool;
  /** Straight to Redis. */
  admin!: Redis;
  queue!: RunQueue;
  readonly prefix = "{campaign}";
  readonly effectsFile: string;
  readonly #home: string;
  readonly #cleanUps: (() => Promise<unknown>)[] = [];

  static async start(options: FleetOptions): Promise<Fleet> {
    await buildWorkspace();
    const fleet = new Fleet();
    try {
      await fleet.#start(options);
      return fleet;
    } catch (error) {
      await fleet.stop();
      throw error;
    }
  }

  private constructor() {
    this.#home = mkdtempSync(join(tmpdir(), "flotilla-faults-"));
    this.effectsFile = join(this.#home, "effects.jsonl");
    this.#cleanUps.push(async () => rmSync(this.#home, { recursive: true, force: true }));
  }

  get nodes(): Node[] {
    return [...this.gateways, ...this.workers];
  }

  effects(): string {
    try {
      return readFileSync(this.effectsFile, "utf8");
    } catch {
      return ""; // nothing has run
    }
  }

  /** Ends all of it in order, and removes its data. */
  async stop(): Promise<void> {
    for (let cleanUp = this.#cleanUps.pop(); cleanUp !== undefined; cleanUp = this.#cleanUps.pop()) await cleanUp();
  }

  async #start(options: FleetOptions): Promise<void> {
    const homeOf = (name: string): string => {
      const home = join(this.#home, name);
      mkdirSync(home);
      return home;
    };
    this.postgres = await Server.postgres(homeOf("postgres"));
    this.#cleanUps.push(() => this.postgres.stop());
    this.redis = await Server.redis(homeOf("redis"));
    this.#cleanUps.push(() => this.redis.stop());
    await migrate(this.postgres.url);

    this.pool = new pg.Pool({ connectionString: this.postgres.url, max: 4, application_name: "campaign" });
    this.pool.on("error", () => {}); // Postgres is ended on purpose
    this.pool.on("connect", (client) => client.on("error", () => {}));
    this.#cleanUps.push(() => this.pool.end());
    this.admin = new Redis(this.redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 100 });
    this.admin.on("error", () => {}); // Redis is ended on purpose
    this.#cleanUps.push(async () => this.admin.disconnect());
    this.queue = new RunQueue({ redis: this.admin, prefix: this.prefix, logger: pino({ level: "silent" }) });
    this.#cleanUps.push(() => this.queue.close());
    await installAudit(this.pool);
    await options.prepareDatabase?.(this.pool);
    for (const id of ["acme", "globex"]) this.tenants.push(await this.#makeTenant(id));

    for (let i = 1; i <= options.gateways; i++)
      this.gateways.push(await this.#startNode("gateway", i, { PORT: "0" }, options));
    for (let i = 1; i <= options.workers; i++) {
      const own = { WORKER_PORT: "0", N_JOBS_PER_WORKER: String(options.jobsPerWorker), WORKER_NICENESS: "2" };
      this.workers.push(await this.#startNode("worker", i, own, options));
    }
    await Promise.all(this.nodes.map((node) => node.process.ready));
  }

  async #makeTenant(id: string): Promise<Tenant> {
    const { key, prefix, hash } = generateKey();
    await insertApiKey(this.pool, { keyId: randomUUID(), tenantId: id, name: "campaign", prefix, hash });
    return { id, key };
  }

  async #startNode(
    kind: "gateway" | "worker",
    i: number,
    own: Record<string, string>,
    options: FleetOptions,
  ): Promise<Node> {
    const [toPostgres, toRedis] = await Promise.all([TcpProxy.to(this.postgres.url), TcpProxy.to(this.redis.url)]);
    this.#cleanUps.push(() => Promise.all([toPostgres.close(), toRedis.close()]));
    const process_ = new Supervised({
      name: `${kind} ${i}`,
      file: PROGRAMS[kind],
      env: {
        ...process.env,
        LOG_LEVEL: "warn",
        HOST: "127.0.0.1",
        REDIS_PREFIX: this.prefix,
        FLOTILLA_CONFIG: GRAPHS,
        FLOTILLA_PROCESS_TITLE: `campaign ${kind} ${i}`,
        EFFECTS_LOG: this.effectsFile,
        SHUTDOWN_GRACE_SECS: "15",
        ...own,
        ...options.env,
        DATABASE_URL: toPostgres.url,
        REDIS_URL: toRedis.url,
      },
    });
    this.#cleanUps.push(() => process_.stop());
    return { process: process_, toPostgres, toRedis };
  }
}
