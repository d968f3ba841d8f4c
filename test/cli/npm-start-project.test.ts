import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { DevNotes } from "../../apps/cli/src/dev/dev-lock.ts";
import { TestClient } from "../support/client.ts";
import { eventually } from "../support/wait.ts";
import { makeCheckout, type Checkout } from "./checkout.ts";
import { NpmStart } from "./npm-start.ts";

const isLinux = process.platform === "linux"; // the processes of a start are found in /proc
if (!isLinux) console.warn("npm start with another project is NOT tested: its tests need Linux");

/** An enum and a parameter property: more than types that could be taken out of the text. */
const GRAPH = `
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
enum Variable { Secret = "PROJECT_SECRET" }
class Source { constructor(private readonly env: NodeJS.ProcessEnv) {} read = (): string => this.env[Variable.Secret] ?? ""; }
const State = Annotation.Root({ secret: Annotation<string>(), title: Annotation<string>() });
export const graph = new StateGraph(State)
  .addNode("tell", () => ({ secret: new Source(process.env).read(), title: process.title }))
  .addEdge(START, "tell")
  .addEdge("tell", END);
`;

describe.runIf(isLinux)("npm start with the langgraph.json of another project", () => {
  let checkout: Checkout;
  let config: string;
  let run: NpmStart;
  let notes: DevNotes;

  beforeAll(async () => {
    checkout = makeCheckout("checkout");
    config = makeProject(join(dirname(checkout.folder), "another project"));
    run = new NpmStart(checkout, {
      args: ["--config", config, "--workers", "3", "--port", "0"],
      env: { PROJECT_SECRET: "from the shell" },
      stateFolder: join(dirname(config), ".flotilla"),
    });
    notes = await run.ready();
    return async () => {
      await run.cleanUp();
      checkout.remove();
    };
  }, 180_000);

  /** A project with its dependencies installed and nothing built. */
  function makeProject(folder: string): string {
    mkdirSync(folder);
    symlinkSync(join(checkout.folder, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "graph.ts"), GRAPH);
    writeFileSync(join(folder, "package.json"), '{ "name": "another-project", "type": "module" }');
    writeFileSync(join(folder, "langgraph.json"), '{ "graphs": { "teller": "./graph.ts:graph" } }');
    return join(folder, "langgraph.json");
  }

  function flotilla(...args: string[]): { status: number | null; stdout: string; output: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["apps/cli/bin/flotilla.js", ...args], {
      cwd: checkout.folder,
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], NO_COLOR: "1" },
      encoding: "utf8",
    });
    return { status, stdout, output: stdout + stderr };
  }

  test("its TypeScript is served without a build, and its code sees the environment of npm start", async () => {
    const { body } = await new TestClient(notes.url).post("/graphs/teller/invoke?wait=30", { input: {} });
    expect(body).toMatchObject({ status: "success", result: { secret: "from the shell" } });
    expect(body.result.title).toMatch(/^flotilla worker [123]$/);
  });

  test("every process says in its title what it is", () => {
    const title = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, "utf8").replace(/\0.*$/s, "");
    const titles = notes.processes.map(({ pid }) => title(pid)).toSorted();
    expect(titles).toEqual(["flotilla gateway", "flotilla worker 1", "flotilla worker 2", "flotilla worker 3"]);
    expect(title(notes.launcher.pid)).toBe("flotilla");
  });

  test("a key is made in the database of this start, opens its gateway, and does not once it is revoked", async () => {
    const status = async (path: string, key?: string): Promise<number> => {
      const headers = key === undefined ? {} : { "x-api-key": key };
      return (await fetch(notes.url + path, { headers })).status;
    };
    expect(await status("/graphs")).toBe(200);

    const elsewhere = flotilla("keys", "create");
    expect(elsewhere).toMatchObject({ status: 1, stdout: "" });
    expect(elsewhere.output).toContain(`no Flotilla runs with its data in ${checkout.folder}/.flotilla`);

    const made = flotilla("keys", "--config", config, "create", "--tenant", "acme", "--name", "of a test");
    expect(made.status, made.output).toBe(0);
    const key = lastLine(made.stdout);
    await eventually(async () => (await status("/graphs")) === 401, { what: "a gateway that asks for keys" });
    expect(await status("/graphs", key)).toBe(200);
    expect(await status("/health")).toBe(200);

    // The options may come at the end as well.
    const listed = lastLine(flotilla("keys", "list", "--config", config).stdout);
    expect(listed).toMatch(/ acme .+ of a test .+ valid$/);
    expect(listed).not.toContain(key);

    const [id = ""] = listed.split(" ");
    expect(flotilla("keys", "revoke", id, "--config", config).output).toContain(`Key ${id} is revoked.`);
    await eventually(async () => (await status("/graphs", key)) === 401, { what: "the end of the key" });
    expect(lastLine(flotilla("keys", "list", "--config", config).stdout)).toContain("revoked");
    const again = flotilla("keys", "revoke", id, "--config", config);
    expect(again.status).toBe(1);
    expect(again.output).toMatch(/there is no valid key \S+\n {2}fix: npm run keys -- --config '.+' list/);
  });
});

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}
