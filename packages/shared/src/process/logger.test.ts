import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

const LOGGER = fileURLToPath(new URL("logger.ts", import.meta.url));

/** A process that logs `lines` lines when it is told to, and exits at once. */
async function loggingProcess(lines: number) {
  const program = `
    import { createLogger } from ${JSON.stringify(LOGGER)};
    const logger = createLogger("info", { process: "test" });
    logger.info("up");
    process.once("message", () => {
      for (let i = 1; i <= ${lines}; i++) logger.info({ i }, "x".repeat(200));
      process.exit(0);
    });`;
  const folder = mkdtempSync(join(tmpdir(), "flotilla-logger-"));
  const file = join(folder, "program.mjs");
  writeFileSync(file, program);
  const tsx = import.meta.resolve("tsx");
  const child = spawn(process.execPath, ["--import", tsx, file], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  });
  const stdout = child.stdout as Readable;
  let output = "";
  stdout.setEncoding("utf8").on("data", (part: string) => (output += part));
  await once(stdout, "data");
  return { child, stdout, output: () => output, exited: once(child, "exit"), closed: once(child, "close") };
}

test("what was logged before an exit is read to its last line", async () => {
  const { child, output, closed } = await loggingProcess(2_000);
  child.send("go");
  await closed;
  const lines = output().trim().split("\n");
  expect(lines).toHaveLength(2_001);
  expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ i: 2_000, process: "test" });
});

test("a process whose log nobody reads any more exits all the same", async () => {
  const { child, stdout, exited } = await loggingProcess(2_000);
  stdout.destroy();
  child.send("go");
  expect(await exited).toEqual([0, null]);
});

test("a process whose log is not read exits after a while", async () => {
  const { child, stdout, exited } = await loggingProcess(20_000);
  stdout.pause();
  child.send("go");
  expect(await exited).toEqual([0, null]);
});
