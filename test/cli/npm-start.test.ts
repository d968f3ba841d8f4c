import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/wait.ts";
import { makeCheckout, makeUser, type Checkout } from "./checkout.ts";
import { NpmStart } from "./npm-start.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.warn("npm start is NOT tested: making users and closed folders takes root");
/** npm's shell dies of the signal that the launcher has obeyed. */
const AFTER_CTRL_C = "SIGINT";
const SLOW = 180_000;

function start(checkout: Checkout, args?: readonly string[]): NpmStart {
  const run = new NpmStart(checkout, args);
  onTestFinished(() => run.cleanUp());
  return run;
}

/** What holds wherever and whoever it is. */
function behavesWell(getCheckout: () => Checkout): void {
  test("it comes up from a fresh clone, answers, and Ctrl-C leaves no process behind", { timeout: SLOW }, async () => {
    const run = start(getCheckout());
    const { url } = await run.ready();
    expect((await fetch(`${url}/ok`)).status).toBe(200);
    expect(run.processes().length).toBeGreaterThan(5);

    run.pressCtrlC();
    expect(await run.exited, run.output).toBe(AFTER_CTRL_C);
    await eventually(() => run.processes().length === 0, { what: `the end of ${run.processes().join("\n")}` });
    expect(run.output).toContain("postgres stopped");
  });

  test("a worker that is killed is started again and said so in a line", { timeout: SLOW }, async () => {
    const run = start(getCheckout());
    const worker = (await run.ready()).processes.find(({ name }) => name === "worker 1");
    process.kill(worker!.pid, "SIGKILL");

    const next = await eventually(() =>
      run.notes()?.processes.find(({ name, pid }) => name === "worker 1" && pid !== worker!.pid),
    );
    await eventually(() => run.output.includes("worker 1 is back"));
    expect(run.output).toMatch(/worker 1 died \(ended by SIGKILL\); starting it again in 0\.\d s/);
    expect(next.pid).not.toBe(worker!.pid);
  });
}

describe.runIf(isRoot)("npm start as root, below a folder that nobody else may enter", () => {
  let checkout: Checkout;
  beforeAll(() => {
    checkout = makeCheckout("checkout of root");
    return () => checkout.remove();
  });

  behavesWell(() => checkout);

  test(
    "a launcher that is killed leaves nothing for long, and the next start takes over",
    { timeout: SLOW },
    async () => {
      const first = start(checkout);
      const { launcher } = await first.ready();
      process.kill(launcher.pid, "SIGKILL");

      const second = start(checkout);
      const { url } = await second.ready();
      expect((await fetch(`${url}/ok`)).status).toBe(200);
      second.pressCtrlC();
      expect(await second.exited, second.output).toBe(AFTER_CTRL_C);
      expect(first.processes()).toEqual([]);
      expect(second.processes()).toEqual([]);
    },
  );

  test("when npm is told to end, everything else follows", { timeout: SLOW }, async () => {
    const run = start(checkout);
    await run.ready();
    process.kill(run.pid, "SIGTERM");
    await eventually(() => run.processes().length === 0, { timeoutMs: 30_000, what: "the end of everything" });
    expect(run.output).toContain("npm is gone: stopping");
    expect(run.output).toContain("postgres stopped");
  });

  test("a second start in the same folder says where the first one is", { timeout: SLOW }, async () => {
    const first = start(checkout);
    const { url, launcher } = await first.ready();
    const second = start(checkout);
    expect(await second.exited).toBe(3);
    expect(second.output).toContain(`Flotilla runs in this folder already: ${url} (pid ${launcher.pid})`);
    expect(second.output).toContain(`kill ${launcher.pid}`);
  });

  test("a port that is in use is named, with the flag for another one", { timeout: SLOW }, async () => {
    const first = start(checkout);
    const port = new URL((await first.ready()).url).port;
    const second = start(checkout, ["--port", port, "--state", ".flotilla-second"]);
    expect(await second.exited).toBe(4);
    expect(second.output).toContain(`port ${port} on 127.0.0.1 is in use`);
    expect(second.output).toMatch(/npm start -- --port \d+/);
  });
});

describe.runIf(isRoot)("npm start as an ordinary user", () => {
  let checkout: Checkout;
  beforeAll(() => {
    const user = makeUser();
    checkout = makeCheckout("checkout of a user", user);
    return () => {
      checkout.remove();
      user.remove();
    };
  });

  behavesWell(() => checkout);
});
