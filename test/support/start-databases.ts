import { randomBytes } from "node:crypto";
import { migrate } from "../../packages/shared/src/postgres/migrate.ts"; // by path: set-up files do not see "source"
import type { TestProject } from "vitest/node";
import { startTemporaryServers, type TemporaryServers } from "../../apps/cli/src/stack/temporary-servers.ts";
import { runSql, withDatabase } from "./sql.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** an administrator's connection to the Postgres of the tests */
    postgresUrl: string;
    redisUrl: string;
    /** name of a migrated database that tests clone */
    templateDatabase: string;
  }
}

/**
 * Once per project: Postgres and Redis (those named by TEST_DATABASE_URL and TEST_REDIS_URL, else servers of our own in
 * a temporary folder) and one migrated database that every test clones.
 */
export default async function startDatabases(project: TestProject): Promise<() => Promise<void>> {
  const servers = givenServers() ?? (await startTemporaryServers(console.log));
  const template = `template_${randomBytes(6).toString("hex")}`;
  const stop = async (): Promise<void> => {
    await runSql(servers.postgresUrl, `drop database if exists ${template} with (force)`);
    await servers.stop();
  };
  try {
    await runSql(servers.postgresUrl, `create database ${template}`);
    await migrate(withDatabase(servers.postgresUrl, template));
  } catch (error) {
    await stop();
    throw error;
  }
  project.provide("postgresUrl", servers.postgresUrl);
  project.provide("redisUrl", servers.redisUrl);
  project.provide("templateDatabase", template);
  return stop;
}

function givenServers(): TemporaryServers | undefined {
  const postgresUrl = process.env["TEST_DATABASE_URL"];
  const redisUrl = process.env["TEST_REDIS_URL"];
  return postgresUrl && redisUrl ? { postgresUrl, redisUrl, stop: async () => {} } : undefined;
}
