import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { dirname, relative } from "node:path";
import { Worker } from "node:worker_threads";
import type { DerivedSchemas } from "@flotilla/shared/graphs/source-schema-queries";
import { inferTypes } from "./infer-types.ts";
import { schemaOfType } from "./type-schema.ts";

/** Nice value: requests go first, but a busy machine does not starve it into its time limit. */
const BEHIND_OTHERS = 5;

/**
 * The entry of a short-lived process: `derive-schemas-cli.js <file> <export> [limit in ms]`. Sends its parent the schemas of a
 * graph, read from its source, which is never executed. A process of its own: the compiler takes seconds and hundreds of
 * megabytes.
 */
const [file, exportName, limitMs] = process.argv.slice(2);
if (file === undefined || exportName === undefined)
  throw new Error("usage: derive-schemas-cli.js <file> <export> [ms]");

// The limit holds although the compiler never comes back to the event loop, and although the parent may be dead.
const LIMIT =
  "const { workerData } = require('node:worker_threads'); setTimeout(() => process.kill(process.pid, 'SIGKILL'), workerData)";
new Worker(LIMIT, { eval: true, workerData: Number(limitMs ?? 60_000) }).unref();
setPriority(BEHIND_OTHERS);

const { program, state, input, output, context, files } = inferTypes(file, exportName);
const contextSchema = context === undefined ? null : schemaOfType(program, context);
const derived: DerivedSchemas = {
  schemas: {
    input_schema: schemaOfType(program, input),
    output_schema: schemaOfType(program, output),
    state_schema: schemaOfType(program, state),
    config_schema: contextSchema,
    context_schema: contextSchema,
  },
  files: Object.fromEntries(
    files.map((path) => [relative(dirname(file), path), createHash("sha256").update(readFileSync(path)).digest("hex")]),
  ),
};
if (process.send === undefined) process.stdout.write(`${JSON.stringify(derived, null, 2)}\n`);
else process.send(derived, () => process.disconnect());
