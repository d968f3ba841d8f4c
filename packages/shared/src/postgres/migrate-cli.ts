import * as z from "zod";
import { messageOf } from "../errors.ts";
import { parseEnv } from "../process/env.ts";
import { migrate } from "./migrate.ts";

try {
  const env = parseEnv(z.object({ DATABASE_URL: z.string() }), process.env);
  const applied = await migrate(env.DATABASE_URL);
  process.stdout.write(applied.length === 0 ? "schema is up to date\n" : `applied ${applied.join(", ")}\n`);
} catch (error) {
  process.stderr.write(`migrate: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
