import { openSync, closeSync, readSync, statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";

/** Statements of one text from one kind of process. */
export interface StatementCount {
  /** name of the prepared statement, else the beginning of its text */
  statement: string;
  process: string;
  count: number;
  /** spent in Postgres on executing them, in ms */
  totalMs: number;
}

/** As Postgres is told to begin its lines; then `duration: 0.214 ms  execute run_claim: select …`. */
const LINE = /^\[([^\]]*)\] LOG: {2}duration: ([\d.]+) ms {2}(?:statement|execute ([^:]*)): (.*)$/gm;
const TEXT_LENGTH = 60;

/** Counts what Postgres executes by its own log. No extension is needed, and background work can be told apart. */
export class StatementLog {
  readonly #databaseUrl: string;
  readonly #file: string;

  constructor(databaseUrl: string, file: string) {
    this.#databaseUrl = databaseUrl;
    this.#file = file;
  }

  /** Everything that was executed while `work` ran, most frequent first. */
  async during(work: () => Promise<void>): Promise<StatementCount[]> {
    await this.#configure({ log_line_prefix: "[%a] ", log_min_duration_statement: "0" });
    const begin = statSync(this.#file).size;
    await work();
    await this.#configure({ log_min_duration_statement: "-1" });
    return countStatements(readFrom(this.#file, begin));
  }

  async #configure(settings: Record<string, string>): Promise<void> {
    const client = new Client({ connectionString: this.#databaseUrl, application_name: "bench" });
    await client.connect();
    for (const [name, value] of Object.entries(settings)) await client.query(`alter system set ${name} = '${value}'`);
    await client.query("select pg_reload_conf()");
    await client.end();
    await delay(500); // every backend reads its configuration between two statements
  }
}

function countStatements(log: string): StatementCount[] {
  const counts = new Map<string, StatementCount>();
  for (const [, application = "", ms, name = "<unnamed>", text = ""] of log.matchAll(LINE)) {
    if (application === "bench") continue;
    const process = /leases|gateway|worker/.exec(application)?.[0] ?? application;
    const statement = name === "<unnamed>" ? text.trim().replace(/\s+/g, " ").slice(0, TEXT_LENGTH) : name;
    const key = `${process} ${statement}`;
    const known = counts.get(key) ?? { statement, process, count: 0, totalMs: 0 };
    counts.set(key, { ...known, count: known.count + 1, totalMs: known.totalMs + Number(ms) });
  }
  return [...counts.values()].toSorted((a, b) => b.count - a.count);
}

function readFrom(file: string, begin: number): string {
  const descriptor = openSync(file, "r");
  try {
    const buffer = Buffer.alloc(statSync(file).size - begin);
    readSync(descriptor, buffer, 0, buffer.length, begin);
    return buffer.toString("utf8");
  } finally {
    closeSync(descriptor);
  }
}
