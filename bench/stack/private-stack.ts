import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildWorkspace } from "../../apps/cli/bin/prepare-checkout.js";
import { NodeProcess } from "../../apps/cli/src/dev/node-process.ts";
import { startLocalPostgres } from "../../apps/cli/src/stack/local-postgres.ts";
import { startLocalRedis } from "../../apps/cli/src/stack/local-redis.ts";
import { lastLines, runCommand } from "../../apps/cli/src/stack/run-command.ts";

const PROGRAMS = {
  migrate: fileURLToPath(new URL("../../packages/shared/dist/postgres/migrate-cli.js", import.meta.url)),
  gateway: fileURLToPath(new URL("../../apps/api/dist/main.js", import.meta.url)),
  worker: fileURLToPath(new URL("../../apps/worker/dist/main.js", import.meta.url)),
};
const GRAPHS = fileURLToPath(new URL("../graphs/langgraph.json", import.meta.url));

export interface PrivateStackOptions {
  workers: number;
  jobsPerWorker: number;
}

export interface StackProcess {
  readonly name: string;
  readonly kind: "gateway" | "worker";
  readonly pid: number;
}

export interface PrivateStack {
  /** of the gateway */
  readonly url: string;
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly postgresLog: string;
  readonly postgresPid: number;
  readonly redisPid: number;
  readonly processes: readonly StackProcess[];
  /** Ends all of it and removes its data. */
  stop(): Promise<void>;
}

/**
 * A whole installation of its own in a temporary folder, compiled as it would be deployed: Postgres and Redis with their
 * settings of real life (fsync, append-only file), one gateway, some workers. Settings of the environment reach them.
 */
export async function startPrivateStack({ workers, jobsPerWorker }: PrivateStackOptions): Promise<PrivateStack> {
  await buildWorkspace();
  const home = mkdtempSync(join(tmpdir(), "flotilla-bench-"));
  chmodSync(home, 0o755); // as root, Postgres runs as another user
  const cleanUps: (() => Promise<unknown>)[] = [async () => rmSync(home, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (let cleanUp = cleanUps.pop(); cleanUp !== undefined; cleanUp = cleanUps.pop()) await cleanUp();
  };
  process.once("SIGINT", () => void stop().finally(() => process.exit(130)));
  try {
    const postgresLog = join(home, "logs/postgres.log");
    const postgres = await startLocalPostgres({ home, logFile: postgresLog });
    cleanUps.push(() => postgres.stop());
    const redis = await startLocalRedis({ home, logFile: join(home, "logs/redis.log") });
    cleanUps.push(() => redis.stop());
    const env = {
      LOG_LEVEL: "warn",
      ...process.env,
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      FLOTILLA_CONFIG: GRAPHS,
    };
    await migrate(env);

    const started: NodeProcess[] = [];
    cleanUps.push(() => Promise.all(started.map((one) => (one.kill("SIGTERM"), one.exited))));
    const begin = (kind: StackProcess["kind"], name: string, own: Record<string, string>): NodeProcess => {
      const onLine = (line: string): void => console.error(`${name}: ${line}`);
      const one = new NodeProcess({
        name,
        file: PROGRAMS[kind],
        env: { ...env, FLOTILLA_PROCESS_TITLE: `bench ${name}`, ...own },
        onLine,
      });
      started.push(one);
      return one;
    };
    const gateway = begin("gateway", "gateway", { HOST: "127.0.0.1", PORT: "0" });
    for (let i = 1; i <= workers; i++) {
      begin("worker", `worker ${i}`, {
        WORKER_PORT: "0",
        N_JOBS_PER_WORKER: String(jobsPerWorker),
        WORKER_NICENESS: "5",
      });
    }
    await Promise.all(started.map((one) => one.ready));
    const processes = started.map(({ name, pid }): StackProcess => ({
      name,
      pid,
      kind: name === "gateway" ? "gateway" : "worker",
    }));
    const url = await gateway.ready;
    const servers = { databaseUrl: postgres.url, postgresPid: postgres.pid, redisUrl: redis.url, redisPid: redis.pid };
    return { url, ...servers, postgresLog, processes, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function migrate(env: NodeJS.ProcessEnv): Promise<void> {
  const { exitCode, output } = await runCommand(process.execPath, [PROGRAMS.migrate], { env });
  if (exitCode !== 0) throw new Error(`the migrations failed\n${lastLines(output)}`);
}
