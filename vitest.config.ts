import { defineConfig } from "vitest/config";

/** Run the sources: workspace packages export `./src/*.ts` under this condition, so that tests need no build. */
const conditions = ["source", "module", "node", "development|production"];
const fromSource = { resolve: { conditions }, ssr: { resolve: { conditions } } };

const ignored = ["**/node_modules/**", "**/dist/**", "**/.flotilla/**"];
const ownTests = ["apps/*/src/**/*.test.ts", "packages/*/src/**/*.test.ts"];

/** Tests of real gateways and workers, as compiled. */
const system = {
  exclude: ignored,
  globalSetup: ["test/support/build-workspace.ts", "test/support/start-databases.ts"],
  testTimeout: 60_000,
  hookTimeout: 60_000,
};

export default defineConfig({
  test: {
    projects: [
      {
        ...fromSource,
        test: {
          name: "unit",
          include: ownTests,
          exclude: [...ignored, "**/*.postgres.test.ts"],
          testTimeout: 20_000, // of a busy machine
        },
      },
      {
        ...fromSource,
        test: {
          name: "postgres",
          include: ownTests.map((pattern) => pattern.replace(".test.ts", ".postgres.test.ts")),
          exclude: ignored,
          globalSetup: "test/support/start-databases.ts",
          testTimeout: 20_000,
          hookTimeout: 30_000,
        },
      },
      {
        ...fromSource,
        test: {
          ...system,
          name: "api",
          include: ["test/agent-server/**/*.test.ts", "test/docs/**/*.test.ts", "test/gateway/**/*.test.ts"],
          maxWorkers: 2, // each file has processes of its own, which wait for one another most of the time
        },
      },
      {
        ...fromSource,
        test: {
          ...system,
          name: "system",
          include: ["test/cli/**/*.test.ts", "test/failure/**/*.test.ts", "test/faults/**/*.test.ts"],
          fileParallelism: false, // what is late or dead is told by the clock
        },
      },
    ],
  },
});
