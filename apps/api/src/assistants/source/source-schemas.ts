import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { messageOf } from "@flotilla/shared/errors";
import type { GraphRegistry } from "@flotilla/shared/graphs/graph-registry";
import {
  deleteOldSourceSchemas,
  getSourceSchemas,
  storeSourceSchemas,
  type DerivedSchemas,
  type GraphSchemas,
  type SourceKey,
} from "@flotilla/shared/graphs/source-schema-queries";
import type { Pool } from "@flotilla/shared/postgres/pool";
import type { Logger } from "@flotilla/shared/process/logger";

const CHILD = fileURLToPath(new URL("derive-schemas-cli.js", import.meta.url));
/** Limits of the child: time from its start, and heap. An ordinary graph takes 2 s and 350 MB on a machine that is idle. */
const LIMIT_MS = 60_000;
const LIMIT_HEAP_MB = 768;
/** How long a request waits for what is not known yet. */
const PATIENCE_MS = 1_000;
/** A source that could not be read is tried again after this time. */
const RETRY_SECONDS = 600;
const KEPT_DAYS = 90;
/** More files than this are not looked at for every request: the graph's own then stands for all of them. */
const MAX_FILES = 200;

/**
 * Schemas of graphs whose states are TypeScript types alone (`Annotation`), read from the source by a child process, one at a
 * time. They are kept in Postgres, not here; a request gets what is known, after a short wait at most.
 */
export class SourceSchemas {
  readonly #pool: Pool;
  readonly #registry: GraphRegistry;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  /** What is being read, by graph: requests share it. */
  readonly #reading = new Map<string, Promise<GraphSchemas | undefined>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(pool: Pool, registry: GraphRegistry, logger: Logger) {
    this.#pool = pool;
    this.#registry = registry;
    this.#logger = logger;
  }

  /** What the graph's source says; undefined for one that says nothing, or nothing yet. */
  async of(graphId: string): Promise<GraphSchemas | undefined> {
    const source = this.#registry.sourceOf(graphId);
    if (source === undefined || !/\.[cm]?tsx?$/.test(source.file)) return undefined;
    const reading = this.#reading.get(graphId) ?? this.#read(graphId, source);
    const patience = new AbortController();
    const wait = delay(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => undefined);
    const schemas = await Promise.race([reading, wait]);
    patience.abort();
    return schemas;
  }

  /** Ends a child that is at work. */
  stop(): void {
    this.#stopping.abort();
  }

  #read(graphId: string, source: { file: string; exportName: string }): Promise<GraphSchemas | undefined> {
    const reading = this.#lookUpOrDerive(source)
      .catch((error: unknown) => {
        this.#logger.warn({ graph: graphId, err: messageOf(error) }, "the schemas of a graph could not be read");
        return undefined;
      })
      .finally(() => this.#reading.delete(graphId));
    this.#reading.set(graphId, reading);
    return reading;
  }

  async #lookUpOrDerive(source: { file: string; exportName: string }): Promise<GraphSchemas | undefined> {
    const key = { hash: await hashOf(source.file), exportName: source.exportName };
    const known = await getSourceSchemas(this.#pool, key, RETRY_SECONDS);
    if (known !== undefined && (await isCurrent(source.file, known.files))) return known.schemas ?? undefined;
    const turn = this.#last.then(() => this.#derive(key, source));
    this.#last = turn.catch(() => {});
    return turn;
  }

  async #derive(
    key: SourceKey,
    { file, exportName }: { file: string; exportName: string },
  ): Promise<GraphSchemas | undefined> {
    if (this.#stopping.signal.aborted) return undefined;
    const derived = await deriveInChild(file, exportName, this.#stopping.signal).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted)
        this.#logger.warn({ file, err: messageOf(error) }, "a graph's source could not be read for its schemas");
      return { schemas: null, files: {} };
    });
    if (this.#stopping.signal.aborted) return undefined;
    await deleteOldSourceSchemas(this.#pool, KEPT_DAYS);
    await storeSourceSchemas(this.#pool, key, derived);
    return derived.schemas ?? undefined;
  }
}

/**
 * The child gets none of our environment: it reads source, and needs no secrets for that.
 * @throws when it could not be started, was killed, or failed.
 */
async function deriveInChild(file: string, exportName: string, signal: AbortSignal): Promise<DerivedSchemas> {
  const child = fork(CHILD, [file, exportName, String(LIMIT_MS)], {
    execArgv: [`--max-old-space-size=${LIMIT_HEAP_MB}`],
    env: {},
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
    signal,
  });
  let derived: DerivedSchemas | undefined;
  child.once("message", (message) => (derived = message as DerivedSchemas));
  // Its exit may be seen before its last message, and the memory of the next child is needed only when this one is gone.
  await Promise.all([once(child, "exit"), once(child, "disconnect")]);
  if (derived === undefined) throw new Error("the child ended without an answer: out of time or memory?");
  return derived;
}

async function isCurrent(file: string, files: Record<string, string>): Promise<boolean> {
  const entries = Object.entries(files);
  if (entries.length > MAX_FILES) return true;
  const same = await Promise.all(
    entries.map(async ([path, hash]) => (await hashOf(resolve(dirname(file), path)).catch(() => "")) === hash),
  );
  return same.every(Boolean);
}

async function hashOf(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}
