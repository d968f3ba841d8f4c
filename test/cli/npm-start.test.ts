import { spawn, spawnSync } from "node:child_process";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { DevNotes } from "../../apps/cli/src/dev/dev-lock.ts";
import { SDKS } from "../agent-server/sdk.ts";
import { TestClient } from "../support/client.ts";
import { eventually } from "../support/wait.ts";
import { makeCheckout, makeUser, type Checkout } from "./checkout.ts";
import { NpmStart, type NpmStartOptions } from "./npm-start.ts";

const isLinux = process.platform === "linux"; // the processes of a start are found in /proc
if (!isLinux) console.warn("npm start is NOT tested: its tests need Linux");
const isRoot = process.getuid?.() === 0;
const canMakeUsers = isLinux && isRoot && spawnSync("useradd", ["--help"]).status === 0;
if (isLinux && !canMakeUsers) console.warn("npm start is NOT tested as another user: that takes root and useradd");
/** npm's shell dies of the signal that the launcher has obeyed. */
const AFTER_CTRL_C = "SIGINT";
const SLOW = 180_000;

function start(checkout: Checkout, options?: NpmStartOptions): NpmStart {
  const run = new NpmStart(checkout, options);
  onTestFinished(() => run.cleanUp());
  return run;
}

/** What holds wherever and whoever it is: one start, from the fresh clone to Ctrl-C. */
function behavesWell(getCheckout: () => Checkout): void {
  describe("from its beginning to its end", () => {
    let run: NpmStart;
    beforeAll(() => {
      run = new NpmStart(getCheckout());
      return () => run.cleanUp();
    });

    test("it comes up from a fresh clone and answers", { timeout: SLOW }, async () => {
      const { url } = await run.ready();
      expect((await fetch(`${url}/ok`)).status).toBe(200);
      expect(run.processes().length).toBeGreaterThan(5);
    });

    test("a worker that is killed is started again and said so in a line", async () => {
      const worker = run.notes()?.processes.find(({ name }) => name === "worker 1");
      process.kill(worker!.pid, "SIGKILL");
      const next = await eventually(() =>
        run.notes()?.processes.find(({ name, pid }) => name === "worker 1" && pid !== worker!.pid),
      );
      await eventually(() => run.output.includes("worker 1 is back"));
      expect(run.output).toMatch(/worker 1 died \(ended by SIGKILL\); starting it again in 0\.\d s/);
      expect(next.pid).not.toBe(worker!.pid);
    });

    test("Ctrl-C leaves no process behind", async () => {
      run.pressCtrlC();
      expect(await run.exited, run.output).toBe(AFTER_CTRL_C);
      await eventually(() => run.processes().length === 0, { what: `the end of ${run.processes().join("\n")}` });
      expect(run.output).toContain("postgres stopped");
    });
  });
}

const whoever = isRoot ? "root" : "the user of the tests";
describe.runIf(isLinux)(`npm start as ${whoever}, below a folder that nobody else may enter`, () => {
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
      const left = (): string[] => [...first.processes(), ...second.processes()];
      await eventually(() => left().length === 0, { what: "the end of what watched the first one's servers" });
    },
  );

  test(
    "a run that is in flight at Ctrl-C is handed to the next start, which installs nothing and has all data",
    { timeout: SLOW },
    async () => {
      const first = start(checkout);
      const before = new TestClient((await first.ready()).url);
      const input = { steps: 20, delay_ms: 500 };
      const { body: run } = await before.post("/graphs/counter/invoke", { thread_id: "kept", input });
      const count = async (): Promise<number> =>
        (await before.get("/graphs/counter/state?thread_id=kept")).body.values?.count ?? 0;
      await eventually(async () => (await count()) >= 2, { what: "the second step" });
      first.pressCtrlC();
      expect(await first.exited, first.output).toBe(AFTER_CTRL_C);
      await eventually(() => first.processes().length === 0, { what: `the end of ${first.processes().join("\n")}` });
      expect(first.output).not.toMatch(/killing/);

      const second = start(checkout);
      const after = new TestClient((await second.ready()).url);
      expect(second.output).toContain("schema is up to date");
      expect(second.output).not.toMatch(/install|unpacking|making a database/i);
      const { body: result } = await after.get(`/threads/kept/runs/${run.run_id}/join`);
      expect(result.log).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
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

  describe("while it runs", () => {
    let first: NpmStart;
    let notes: DevNotes;
    beforeAll(async () => {
      first = new NpmStart(checkout);
      notes = await first.ready();
      return () => first.cleanUp();
    }, SLOW);

    test("a second start in the same folder says where the first one is", async () => {
      const second = start(checkout);
      expect(await second.exited).toBe(3);
      expect(second.output).toContain(`Flotilla runs in this folder already: ${notes.url} (pid ${notes.launcher.pid})`);
      expect(second.output).toContain(`kill ${notes.launcher.pid}`);
    });

    test("a start on its port names the port and the flag for another one", async () => {
      const { port } = new URL(notes.url);
      const second = start(checkout, { args: ["--port", port, "--state", ".flotilla-second"] });
      expect(await second.exited).toBe(4);
      expect(second.output).toContain(`port ${port} on 127.0.0.1 is in use`);
      expect(second.output).toMatch(/npm start -- --port \d+/);
    });

    test("LangGraph's own clients find its graphs and run them", async () => {
      for (const { connect } of SDKS) {
        const client = connect(notes.url);
        const assistants = await client.assistants.search({ limit: 100 });
        expect(assistants.map(({ graph_id }) => graph_id).toSorted()).toEqual(
          ["counter", "customer_support", "document_processor", "research_agent"].toSorted(),
        );
        const { thread_id } = await client.threads.create();
        const events: string[] = [];
        const stream = client.runs.stream(thread_id, "counter", {
          input: { steps: 3, delay_ms: 1 },
          streamMode: "values",
        });
        for await (const { event } of stream) events.push(event);
        expect(events.filter((event) => event === "values").length).toBeGreaterThanOrEqual(3);
        expect((await client.threads.getState(thread_id)).values).toMatchObject({ count: 3 });
      }
    });

    test("the demo shows the agents at work and ends with a report on each document", { timeout: SLOW }, () => {
      const demo = spawnSync(process.execPath, ["apps/cli/bin/flotilla.js", "demo"], {
        cwd: checkout.folder,
        encoding: "utf8",
      });
      expect(demo.status, demo.stdout + demo.stderr).toBe(0);
      for (const stage of ["intake", "classify", "extract", "validate", "summarise", "collect"]) {
        expect(demo.stdout).toContain(stage);
      }
      expect(demo.stdout).toMatch(/invoice-halvorsen\.md {2}invoice \d+ %/);
      expect(demo.stdout).toMatch(/Done in \d+\.\d s/);
    });

    test("the worker that the slow demo names holds its run: killed, another one goes on with the next step", async () => {
      const demo = spawn(process.execPath, ["apps/cli/bin/flotilla.js", "demo", "--slow"], { cwd: checkout.folder });
      onTestFinished(() => void demo.kill());
      let output = "";
      demo.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
      const steps = (): number[] => [...output.matchAll(/step (\d+) of 60/g)].map(([, step]) => Number(step));

      await eventually(() => steps().length >= 2, { timeoutMs: 20_000, what: "the second step" });
      const [, name, pid] = /(worker \d) \(pid (\d+)\) holds the run/.exec(output) ?? [];
      expect(first.notes()?.processes).toContainEqual(expect.objectContaining({ name, pid: Number(pid) }));
      process.kill(Number(pid), "SIGKILL");

      await eventually(() => output.includes("attempt 2: another worker goes on"), { timeoutMs: 30_000 });
      const before = steps().length;
      await eventually(() => steps().length >= before + 2, { what: "steps of the second attempt" });
      const next = /holds the run\. Try it: kill -9 (\d+)/g;
      expect(new Set([...output.matchAll(next)].map(([, one]) => one)).size, output).toBe(2);
      expect(new Set(steps()).size, output).toBe(Math.max(...steps()));
    });
  });
});

describe.runIf(canMakeUsers)("npm start as an ordinary user", () => {
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
