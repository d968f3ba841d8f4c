import { Gauge, type Registry } from "prom-client";
import type { Queryable } from "@flotilla/shared/postgres/pool";
import { readTableSizes, type TableSize } from "@flotilla/shared/postgres/size-queries";

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
  const rows = new Gauge({
    name: "flotilla_table_rows",
    help: "Rows of a table, as Postgres' last vacuum or analyze has estimated them",
    labelNames: ["table"],
    registers,
  });
  let readAt = -Infinity;
  let sizes: TableSize[] = [];
  new Gauge({
    name: "flotilla_table_bytes",
    help: "Size of a table with its indexes and large values; read once a minute",
    labelNames: ["table"],
    registers,
    async collect() {
      if (performance.now() - readAt > BELIEVED_MS) {
        readAt = performance.now();
        sizes = await readTableSizes(db, TABLES).catch(() => sizes);
      }
      for (const size of sizes) {
        this.labels(size.name).set(size.bytes);
        rows.labels(size.name).set(size.rows);
      }
    },
  });
}
