import { randomBytes } from "node:crypto";
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePort } from "./free-port.ts";
import { endLeftovers, startServer, type LocalServer } from "./local-server.ts";
import { processesIn } from "./process-identity.ts";
import { findRedisBinary } from "./redis-binary.ts";
import { pingRedis } from "./redis-ping.ts";
import { readNotes, writeNotes } from "./server-notes.ts";

export interface LocalRedisOptions {
  /** Folder for data, and for the program when it has to be unpacked. */
  readonly home: string;
  readonly logFile: string;
  /** false: nothing is written to disk. Only for tests of logic. */
  readonly durable?: boolean;
  /** How long clients may go on when we died without stopping it. */
  readonly orphanPauseSeconds?: number;
  /** Hears what takes long: an installation. */
  readonly report?: (what: string) => void;
}

/** A Redis of our own on a loopback port that is kept between starts, with a random password. */
export async function startLocalRedis(options: LocalRedisOptions): Promise<LocalServer> {
  const { report = () => {}, durable = true } = options;
  mkdirSync(options.home, { recursive: true });
  const home = realpathSync(options.home);
  const binary = await findRedisBinary(home, report);
  const directory = join(home, "redis");
  const pidFile = join(directory, "redis.pid");
  const configFile = join(directory, "redis.conf");
  const notesFile = join(home, "redis.json");
  mkdirSync(directory, { recursive: true, mode: 0o700 });

  const leftovers = processesIn(directory, pidFile);
  if (leftovers.length > 0) report(`ending the Redis (pid ${leftovers.join(", ")}) that an earlier start left behind`);
  await endLeftovers(leftovers, leftovers, "SIGTERM");

  const notes = readNotes(notesFile);
  const password = notes.password ?? randomBytes(18).toString("base64url");
  const port = await findFreePort(notes.port);
  writeNotes(notesFile, { port, password });
  writeFileSync(configFile, configuration({ port, password, directory, pidFile, durable }), { mode: 0o600 });

  const running = await startServer({
    part: "redis",
    command: binary.path,
    args: [configFile],
    env: binary.env,
    directory,
    pidFile,
    logFile: options.logFile,
    stopSignal: "TERM",
    orphanPauseSeconds: options.orphanPauseSeconds ?? 0,
    answers: async () => {
      const answer = await pingRedis({ host: "127.0.0.1", port, password });
      if ("refusal" in answer) throw new Error(answer.refusal);
      return "version" in answer ? answer.version : undefined;
    },
  });
  return { ...running, port, url: `redis://:${password}@127.0.0.1:${port}`, directory };
}

interface RedisSettings {
  readonly port: number;
  readonly password: string;
  readonly directory: string;
  readonly pidFile: string;
  readonly durable: boolean;
}

/** In a file, not on the command line, where everybody on the machine could read the password. */
function configuration({ port, password, directory, pidFile, durable }: RedisSettings): string {
  const settings = {
    bind: "127.0.0.1",
    port,
    requirepass: password,
    dir: JSON.stringify(directory),
    pidfile: JSON.stringify(pidFile),
    appendonly: durable ? "yes" : "no",
    save: '""',
    "maxmemory-policy": "noeviction", // evicted keys would be lost jobs
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name} ${value}\n`)
    .join("");
}
