import { afterAll } from "vitest";
import { NodeProcess, type Exit } from "../../../apps/cli/src/dev/node-process.ts";
import { testPrefix, testRedisUrl } from "../../support/redis.ts";
import { campaignProgram } from "./campaign-program.ts";

const alive = new Set<NodeProcess>();
afterAll(async () => {
  for (const one of alive) one.kill("SIGKILL");
  await Promise.all([...alive].map((one) => one.exited));
});

/** A real worker process with a queue of its own: it does nothing but what the test puts there. */
export interface CampaignWorker {
  readonly prefix: string;
  readonly url: string;
  readonly exited: Promise<Exit>;
  kill(): Promise<Exit>;
  output(): string;
}

/** Starts a worker; it dies by SIGKILL at its failpoints, if it has any. See process/failpoints.ts. */
export async function startCampaignWorker(
  databaseUrl: string,
  env: { failpoints?: string | undefined; sigtermAt?: string | undefined } = {},
): Promise<CampaignWorker> {
  const prefix = testPrefix();
  const { file, config } = await campaignProgram();
  const one = new NodeProcess({
    name: `worker with ${env.failpoints ?? "no failpoint"}`,
    file,
    env: {
      ...process.env,
      NODE_ENV: "test",
      DATABASE_URL: databaseUrl,
      REDIS_URL: testRedisUrl(),
      REDIS_PREFIX: prefix,
      FLOTILLA_CONFIG: config,
      WORKER_PORT: "0",
      LOG_LEVEL: "warn",
      LEASE_SECS: "30", // the test says when a lease is over: it knows that the process is dead
      POOL_MIN_SIZE: "0",
      POOL_MAX_SIZE: "4",
      ...(env.failpoints === undefined ? {} : { FLOTILLA_FAILPOINTS: env.failpoints }),
      ...(env.sigtermAt === undefined ? {} : { SIGTERM_AT: env.sigtermAt }),
    },
  });
  alive.add(one);
  void one.exited.then(() => alive.delete(one));
  const url = await one.ready;
  return {
    prefix,
    url,
    exited: one.exited,
    kill: () => {
      one.kill("SIGKILL");
      return one.exited;
    },
    output: () => one.output(),
  };
}

/** How many statements a worker has stored checkpoints with since its start. */
export async function countCheckpointWrites(worker: CampaignWorker): Promise<number> {
  const metrics = await (await fetch(`${worker.url}/metrics`)).text();
  return Number(/^flotilla_checkpoint_write_seconds_count (\d+)/m.exec(metrics)?.[1] ?? 0);
}
