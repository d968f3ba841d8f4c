import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { Client } from "pg";
import { expect, onTestFinished, test } from "vitest";
import { startLocalPostgres } from "../../apps/cli/src/stack/local-postgres.ts";
import { startLocalRedis } from "../../apps/cli/src/stack/local-redis.ts";
import type { LocalServer } from "../../apps/cli/src/stack/local-server.ts";
import { pidIn, processStart } from "../../apps/cli/src/stack/process-identity.ts";
import { eventually } from "../support/wait.ts";

function makeHome(): string {
  const home = mkdtempSync(join(tmpdir(), "flotilla servers-"));
  chmodSync(home, 0o755); // as root, Postgres runs as another user
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

async function start(
  kind: "postgres" | "redis",
  home: string,
  report: (what: string) => void = () => {},
): Promise<LocalServer> {
  const launch = kind === "postgres" ? startLocalPostgres : startLocalRedis;
  const server = await launch({ home, logFile: join(home, `logs/${kind}.log`), report });
  onTestFinished(() => server.stop());
  return server;
}

async function sql(url: string, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}

test("Postgres comes back after a kill, on the same port, with what was committed", async () => {
  const home = makeHome();
  const first = await start("postgres", home);
  await sql(first.url, "create table kept as select 1 as one");
  process.kill(first.pid, "SIGKILL");
  await first.exited;
  const second = await start("postgres", home);
  expect(second.url).toBe(first.url);
  expect(await sql(second.url, "select one from kept")).toEqual([{ one: 1 }]);
});

test("Postgres is set up as a server should be: UTF-8, code point order, fsync, and nobody without the password", async () => {
  const { url } = await start("postgres", makeHome());
  const [row] = await sql(
    url,
    `select current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,
            current_setting('listen_addresses') as listens, 'Z' < 'a' as by_code_point, lower('ÄÖ') as lowered`,
  );
  expect(row).toEqual({ encoding: "UTF8", fsync: "on", listens: "127.0.0.1", by_code_point: true, lowered: "äö" });
  const wrong = new URL(url);
  wrong.password = "guessed";
  await expect(sql(wrong.href, "select 1")).rejects.toThrow("password authentication failed");
});

test("a pid file that names somebody else's process does not keep Postgres from starting", async () => {
  const home = makeHome();
  const first = await start("postgres", home);
  process.kill(first.pid, "SIGKILL");
  await first.exited;
  const stranger = spawn("sleep", ["60"]);
  onTestFinished(() => void stranger.kill());
  const pidFile = join(first.directory, "postmaster.pid");
  writeFileSync(pidFile, readFileSync(pidFile, "utf8").replace(/^\d+/, String(stranger.pid)));

  const second = await start("postgres", home);
  expect(await sql(second.url, "select 1 as one")).toEqual([{ one: 1 }]);
  expect(processStart(stranger.pid ?? 0)).toBeDefined();
});

test.each(["postgres", "redis"] as const)(
  "a %s that was left behind is ended before its data is used",
  async (kind) => {
    const home = makeHome();
    const first = await start(kind, home);
    const reports: string[] = [];
    const second = await start(kind, home, (what) => reports.push(what));
    expect(second.pid).not.toBe(first.pid);
    expect(await first.exited).toBeDefined();
    expect(reports.join()).toContain(`(pid ${first.pid}) that an earlier start left behind`);
  },
);

test("Redis loses nothing in a kill, evicts nothing and asks for the password", async () => {
  const home = makeHome();
  const first = await start("redis", home);
  const before = new Redis(first.url);
  before.on("error", () => {});
  await before.set("kept", "yes");
  expect(await before.config("GET", "maxmemory-policy")).toContain("noeviction");
  await eventually(() => existsSync(join(first.directory, "appendonlydir")));
  process.kill(first.pid, "SIGKILL");
  await first.exited;
  before.disconnect();

  const second = await start("redis", home);
  const after = new Redis(second.url);
  onTestFinished(() => after.disconnect());
  expect(await after.get("kept")).toBe("yes");
  const stranger = new Redis(second.port, "127.0.0.1", { lazyConnect: true });
  stranger.on("error", () => {});
  onTestFinished(() => stranger.disconnect());
  await expect(stranger.get("kept")).rejects.toThrow("NOAUTH");
});

test.each([
  ["postgres", "postgres-18/postmaster.pid"],
  ["redis", "redis/redis.pid"],
] as const)("a %s whose starter was killed ends by itself", async (kind, pidFile) => {
  const home = makeHome();
  const module = fileURLToPath(new URL(`../../apps/cli/dist/stack/local-${kind}.js`, import.meta.url));
  const name = kind === "postgres" ? "startLocalPostgres" : "startLocalRedis";
  const script = `const { ${name} } = await import(${JSON.stringify(module)});
    await ${name}({ home: ${JSON.stringify(home)}, logFile: ${JSON.stringify(join(home, "log"))} });
    console.log("up"); setInterval(() => {}, 1000);`;
  const starter = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void starter.kill("SIGKILL"));
  await new Promise((resolve) => starter.stdout.once("data", resolve));
  const pid = pidIn(join(home, pidFile)) ?? 0;
  expect(processStart(pid)).toBeDefined();

  starter.kill("SIGKILL");
  await eventually(() => processStart(pid) === undefined, { what: `the end of ${kind}` });
});
