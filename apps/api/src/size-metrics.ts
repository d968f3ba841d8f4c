import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "@flotilla/shared/postgres/pool";
import { readTableSizes, type TableSize } from "@flotilla/shared/postgres/size-queries";
import { readOnce } from "./read-once.ts";

/** Tables that grow with use. */
const TABLES = [
  "threads",
  "runs",
  "idempotency_keys",
  "checkpoints",
  "checkpoint_blobs",
  "checkpoint_writes",
  "overwritten_checkpoints",
  "overwritten_writes",
];
/** How long sizes are believed, in ms: they are files that Postgres looks up one by one. */
const BELIEVED_MS = 60_000;

/** Sizes of the tables: whether what is kept, and for how long, fits. */
export function sizeGauges(registry: Registry, db: Queryable): void {
  const registers = [registry];
  const read = readOnce(() => readTableSizes(db, TABLES), BELIEVED_MS);
  const gauge = (name: string, help: string, value: (size: TableSize) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ["table"],
      registers,
      async collect() {
        for (const size of (await read()) ?? []) this.labels(size.name).set(value(size));
      },
    });
  gauge(
    "flotilla_table_bytes",
    "Size of a table with its indexes and large values; read once a minute",
    ({ bytes }) => bytes,
  );
  gauge(
    "flotilla_table_rows",
    "Rows of a table, as Postgres' last vacuum or analyze has estimated them",
    ({ rows }) => rows,
  );
}
