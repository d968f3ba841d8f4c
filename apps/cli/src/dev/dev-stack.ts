import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { startLocalPostgres, type LocalPostgresOptions } from "../stack/local-postgres.ts";
import { startLocalRedis, type LocalRedisOptions } from "../stack/local-redis.ts";
import type { LocalServer } from "../stack/local-server.ts";
import { lastLines, runCommand } from "../stack/run-command.ts";
import { reasonOf, StartupError } from "../stack/startup-error.ts";
import { style } from "../terminal.ts";
import { npmStart, type StartChoice } from "./commands.ts";
import { knownProcess, type DevLock, type KnownProcess } from "./dev-lock.ts";
import { drain, type Drain } from "./drain.ts";
import { checkGivenPostgres } from "./given-postgres.ts";
import { checkGivenRedis } from "./given-redis.ts";
import { databaseLife, processLife } from "./lives.ts";
import { createLogWriter } from "./log-writer.ts";
import type { Progress } from "./progress.ts";
import { fileError, type Project } from "./project.ts";
import { processEnvironment, withAddress, withoutPassword, type GivenAddress } from "./settings.ts";
import { Supervisor, type Life } from "./supervisor.ts";

export interface DevStackOptions {
  /** what the user asked for, to be said again in what mends a failure */
  readonly choice: StartChoice & { readonly workers: number };
  readonly project: Project;
  readonly given: Record<DatabaseKind, GivenAddress | undefined>;
  readonly stateFolder: string;
  readonly port: number;
  readonly verbose: boolean;
  readonly progress: Progress;
  readonly lock: DevLock;
}

type DatabaseKind = "postgres" | "redis";

const PROGRAMS = {
  migrate: fileURLToPath(new URL("../../../../packages/shared/dist/postgres/migrate-cli.js", import.meta.url)),
  gateway: fileURLToPath(new URL("../../../api/dist/main.js", import.meta.url)),
  worker: fileURLToPath(new URL("../../../worker/dist/main.js", import.meta.url)),
};
const GRACE_SECONDS = Number(process.env["SHUTDOWN_GRACE_SECS"]) || 20;

/** Everything that `flotilla dev` runs: two databases, migrations, a gateway and workers. */
export class DevStack {
  /** where the databases are, in words for the screen */
  readonly databases: Record<DatabaseKind, string> = { postgres: "", redis: "" };
  readonly #options: DevStackOptions;
  readonly #servers: Supervisor<LocalServer>[] = [];
  readonly #processes: Supervisor<string>[] = [];
  readonly #known = new Map<string, KnownProcess>();
  #draining: Drain | undefined;
  #urgency = 0;

  constructor(options: DevStackOptions) {
    this.#options = options;
  }

  /** The databases side by side, then the migrations, then the gateway and the workers side by side. */
  async start(): Promise<void> {
    const [postgresUrl, redisUrl] = await Promise.all([
      this.#startDatabase("postgres", startLocalPostgres),
      this.#startDatabase("redis", startLocalRedis),
    ]);
    const env = processEnvironment(process.env, {
      DATABASE_URL: postgresUrl,
      REDIS_URL: redisUrl,
      FLOTILLA_CONFIG: this.#options.project.config,
    });
    await this.#migrate(env);
    const gatewayEnv = { ...env, HOST: "127.0.0.1", PORT: String(this.#options.port) };
    const workerEnv = {
      ...env,
      WORKER_PORT: "0",
      N_JOBS_PER_WORKER: env["N_JOBS_PER_WORKER"] ?? "10",
      WORKER_NICENESS: env["WORKER_NICENESS"] ?? "5",
    };
    await Promise.all([
      this.#startProcess("gateway", PROGRAMS.gateway, gatewayEnv),
      ...Array.from({ length: this.#options.choice.workers }, (_, index) =>
        this.#startProcess(`worker ${index + 1}`, PROGRAMS.worker, workerEnv),
      ),
    ]);
  }

  /** Asked again to stop: those who still drain are pressed. */
  press(urgency: number): void {
    this.#urgency = urgency;
    this.#draining?.press(urgency);
  }

  /** Drains the processes, then stops the databases that are ours. false when something had to be killed. */
  async stop(): Promise<boolean> {
    const { progress } = this.#options;
    const say = (line: string): void => progress.print(line);
    this.#urgency = Math.max(this.#urgency, 1);
    this.#draining = drain(this.#processes, { graceSeconds: GRACE_SECONDS, say });
    if (this.#urgency > 1) this.#draining.press(this.#urgency);
    const inOrder = await this.#draining.done;
    for (const server of this.#servers.toReversed()) {
      const ran = server.hasServed;
      await server.end("SIGTERM");
      if (ran) say(`${style("green", "✔")} ${server.name} stopped`);
    }
    return inOrder;
  }

  async #startDatabase(
    kind: DatabaseKind,
    launch: (options: LocalPostgresOptions & LocalRedisOptions) => Promise<LocalServer>,
  ): Promise<string> {
    const { progress, stateFolder, given } = this.#options;
    const named = given[kind];
    if (named !== undefined) return this.#checkDatabase(kind, named);
    const server = await progress.step(
      kind,
      (report) => {
        const logFile = join(stateFolder, "logs", `${kind}.log`);
        const options = { home: stateFolder, logFile, orphanPauseSeconds: GRACE_SECONDS + 5, report };
        const begin = () => databaseLife(launch(options));
        return this.#explained(kind, () => this.#supervise(this.#servers, kind, begin));
      },
      (started) => (this.databases[kind] = describeServer(started)),
    );
    return server.url;
  }

  /** A server that somebody else runs is looked at once; what it does later is not ours to mend. */
  async #checkDatabase(kind: DatabaseKind, given: GivenAddress): Promise<string> {
    const { progress, choice } = this.#options;
    const check = kind === "postgres" ? checkGivenPostgres : checkGivenRedis;
    await progress.step(
      kind,
      () => check(given, npmStart(choice)),
      (version) => (this.databases[kind] = [version, withoutPassword(given.address)].filter(Boolean).join("  ")),
    );
    return given.address;
  }

  async #migrate(env: NodeJS.ProcessEnv): Promise<void> {
    this.#refuseWhenStopping();
    await this.#options.progress.step(
      "migrations",
      async () => {
        const { exitCode, output } = await runCommand(process.execPath, [PROGRAMS.migrate], { env });
        if (exitCode === 0) return lastLines(output, 1);
        throw new StartupError("migrations", "the database could not be brought to this version's schema", {
          logTail: lastLines(output),
          remedy: this.#migrationRemedy(),
        });
      },
      (outcome) => outcome,
    );
  }

  #migrationRemedy(): string {
    const { given, choice, stateFolder } = this.#options;
    if (given.postgres === undefined) return `less ${displayPath(join(stateFolder, "logs/postgres.log"))}`;
    const other = withAddress(given.postgres, "postgres://user:password@host:5432/database", npmStart(choice));
    return `${other}   (a user who may create tables, or another database)`;
  }

  async #startProcess(name: string, file: string, env: NodeJS.ProcessEnv): Promise<void> {
    this.#refuseWhenStopping();
    const { progress, stateFolder, verbose, lock } = this.#options;
    const logFile = join(stateFolder, "logs", `${name.replace(" ", "-")}.log`);
    const start = (): Promise<string> => {
      const log = createLogWriter(name, logFile, (line) => progress.print(line), verbose);
      return this.#supervise(this.#processes, name, () => {
        const life = processLife({
          name,
          file,
          env: { ...env, FLOTILLA_PROCESS_TITLE: `flotilla ${name}`, SHUTDOWN_GRACE_SECS: String(GRACE_SECONDS) },
          onLine: (line) => log.write(line),
        });
        this.#known.set(name, knownProcess(name, life.process.pid));
        lock.update([...this.#known.values()]);
        return life;
      });
    };
    await progress.step(
      name,
      () => this.#explained(name, start, `less ${displayPath(logFile)}`),
      (url) => url,
    );
  }

  /** Whatever keeps a part from starting is told with the part's name and with what mends it. */
  async #explained<T>(part: string, work: () => Promise<T>, remedy?: string): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof StartupError) throw error;
      const { stateFolder, choice } = this.#options;
      const refused = fileError(part, error, { folder: stateFolder, choice });
      if (refused !== undefined || remedy === undefined) throw refused ?? error;
      throw new StartupError(part, reasonOf(error), { cause: error, remedy });
    }
  }

  #supervise<T>(list: Supervisor<T>[], name: string, begin: () => Life<T>): Promise<T> {
    const supervisor = new Supervisor<T>({ name, begin, announce: (line) => this.#options.progress.print(line) });
    list.push(supervisor);
    return supervisor.start();
  }

  /** Between two steps of the start: nothing new after a Ctrl-C. */
  #refuseWhenStopping(): void {
    if (this.#urgency > 0) throw new Error("stopped before everything was up");
  }
}

function describeServer({ version, port, directory }: LocalServer): string {
  return `${version}  127.0.0.1:${port}  ${displayPath(directory)}`;
}

/** Short where that is possible: relative when it is below the folder we are in. */
export function displayPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") || short === "" ? path : short;
}
