import pg from "pg";
import type { Logger } from "../process/logger.ts";

export type Pool = pg.Pool;
export type PoolClient = pg.PoolClient;
/** What a query function needs: the caller owns the transaction. */
export type Queryable = Pick<pg.Pool, "query">;

export interface PoolOptions {
  databaseUrl: string;
  minSize: number;
  maxSize: number;
  applicationName: string;
  logger: Logger;
  /** How long to wait for a connection, one of the pool's or a new one, in ms. */
  connectionTimeoutMs?: number;
  /** Longest time a statement may run, in ms. */
  statementTimeoutMs?: number;
  /** Longest pause within a transaction, in ms. */
  idleInTransactionMs?: number;
  /** Named prepared statements on the hot path. Off for a PgBouncer in transaction mode that does not know them. */
  preparedStatements?: boolean;
}

/** How much later than Postgres itself the client gives up a statement, in ms. */
const GRACE_MS = 5_000;

/** A client that never names a statement. */
class UnnamedClient extends pg.Client {
  override query(...args: unknown[]): never {
    const [first, ...rest] = args;
    const config =
      typeof first === "object" && first !== null && "name" in first ? { ...first, name: undefined } : first;
    return (super.query as (...all: unknown[]) => never).call(this, config, ...rest);
  }
}

/**
 * The one pool of a process. Every client gets an `error` listener: without one, a Postgres restart during a checkpoint
 * write would be an unhandled `error` event and end the process; with it, the write is an ordinary rejected promise.
 */
export function createPool(options: PoolOptions): Pool {
  const { statementTimeoutMs = 60_000 } = options;
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    min: options.minSize,
    max: options.maxSize,
    application_name: options.applicationName,
    idleTimeoutMillis: 300_000,
    connectionTimeoutMillis: options.connectionTimeoutMs ?? 10_000,
    keepAlive: true,
    statement_timeout: statementTimeoutMs,
    // A Postgres that is frozen, or behind a network that drops packets, does not time out its statements.
    query_timeout: statementTimeoutMs + GRACE_MS,
    lock_timeout: 15_000,
    idle_in_transaction_session_timeout: options.idleInTransactionMs ?? 30_000,
    ...(options.preparedStatements === false ? { Client: UnnamedClient } : {}),
  });
  const log = (error: Error) => options.logger.warn({ err: error.message }, "a Postgres connection failed");
  pool.on("error", log);
  pool.on("connect", (client) => client.on("error", log));
  return pool;
}
