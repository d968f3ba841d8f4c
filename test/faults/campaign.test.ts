import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test, type TestContext } from "vitest";
import type { Report } from "../../faults/report/report.ts";

// The fault campaign itself: whether it passes what is whole, and finds out what is broken. A campaign that cannot fail proves nothing.

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SEED = process.env["FLOTILLA_SEED"] ?? "20261125";

interface Campaign {
  exitCode: number | null;
  output: string;
  report: Report;
}

/** `npm run test:faults` with half a minute of faults and impatient applications. */
async function runCampaign({ onTestFinished }: TestContext, ...args: string[]): Promise<Campaign> {
  const out = mkdtempSync(join(tmpdir(), "flotilla-campaign-"));
  onTestFinished(() => rmSync(out, { recursive: true, force: true }));
  const all = ["faults/run.ts", "--seed", SEED, "--targets", "none", "--clients", "15", "--out", out, ...args];
  const child = spawn(process.execPath, ["-C", "source", "--import", "tsx", ...all], { cwd: ROOT });
  onTestFinished(() => void child.kill("SIGINT"));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (output += part.toString()));
  const exitCode = await new Promise<number | null>((resolve) => child.once("close", resolve));
  const { campaign } = JSON.parse(readFileSync(join(out, "report.json"), "utf8")) as { campaign: Report };
  return { exitCode, output, report: campaign };
}

test("with nothing broken, every promise holds through faults of all kinds", { timeout: 300_000 }, async (context) => {
  const { exitCode, output, report } = await runCampaign(context, "--minutes", "0.5", "--patience", "90");
  expect(report.violations, output).toEqual([]);
  expect(report).toMatchObject({ lost: 0, duplicated: 0, foreignCheckpoints: 0, seed: Number(SEED) });
  expect(report.faults).toBeGreaterThan(3);
  expect(report.accepted).toBeGreaterThan(20);
  expect(output).toContain("I1 to I8 hold.");
  expect(exitCode).toBe(0);
});

describe("a build that is broken on purpose is found out", () => {
  test.concurrent.for([
    { broken: "no-fence", finds: ["I2"] },
    { broken: "no-sweeper", finds: ["I1"] },
    { broken: "input-again", finds: ["I6"] },
  ])("$broken", { timeout: 300_000 }, async ({ broken, finds }, context) => {
    const args = ["--minutes", "0.4", "--patience", "20", "--broken", broken];
    const { exitCode, output, report } = await runCampaign(context, ...args);
    const broke = report.violations.map(({ invariant }) => invariant);
    expect(broke, output).toEqual(expect.arrayContaining(finds));
    expect(output).toContain(`--seed ${SEED}`);
    expect(exitCode).toBe(1);
  });
});
